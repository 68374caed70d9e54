package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"slices"
)

// shrink writes a PNG file again with a palette of 256 colours, chosen by median cut
// (Heckbert 1982). A page is mostly flat, so nobody sees a difference but the size.
func shrink(path string) error {
	in, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	m, err := png.Decode(bytes.NewReader(in))
	if err != nil {
		return fmt.Errorf("shrink %s: %w", path, err)
	}
	out := image.NewPaletted(m.Bounds(), paletteOf(m))
	draw.Draw(out, out.Rect, m, m.Bounds().Min, draw.Src)
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, out); err != nil {
		return fmt.Errorf("shrink %s: %w", path, err)
	}
	fmt.Printf("%s: %d bytes, was %d\n", path, buf.Len(), len(in))
	return os.WriteFile(path, buf.Bytes(), 0o644)
}

// weighted is a colour with the number of its pixels.
type weighted struct {
	rgb   [3]uint8
	count int
}

func paletteOf(m image.Image) color.Palette {
	counts := make(map[[3]uint8]int)
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y++ {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			r, g, b, _ := m.At(x, y).RGBA()
			counts[[3]uint8{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8)}]++
		}
	}
	all := make([]weighted, 0, len(counts))
	for rgb, n := range counts {
		all = append(all, weighted{rgb, n})
	}
	slices.SortFunc(all, func(a, b weighted) int { return slices.Compare(a.rgb[:], b.rgb[:]) }) // the same each time
	boxes := [][]weighted{all}
	for len(boxes) < 256 {
		i, channel, spread := widest(boxes)
		if spread == 0 {
			break
		}
		a, b := cut(boxes[i], channel)
		boxes[i] = a
		boxes = append(boxes, b)
	}
	palette := make(color.Palette, len(boxes))
	for i, box := range boxes {
		palette[i] = mean(box)
	}
	return palette
}

// widest returns the box and the channel in which colours differ most.
func widest(boxes [][]weighted) (box, channel, spread int) {
	for i, b := range boxes {
		for c := range 3 {
			low, high := 255, 0
			for _, w := range b {
				low, high = min(low, int(w.rgb[c])), max(high, int(w.rgb[c]))
			}
			if high-low > spread {
				box, channel, spread = i, c, high-low
			}
		}
	}
	return box, channel, spread
}

// cut divides a box where half of its pixels lie on each side.
func cut(box []weighted, channel int) (a, b []weighted) {
	slices.SortStableFunc(box, func(a, b weighted) int { return cmp.Compare(a.rgb[channel], b.rgb[channel]) })
	total, sum := 0, 0
	for _, w := range box {
		total += w.count
	}
	for i, w := range box {
		if sum += w.count; 2*sum >= total {
			i = min(max(i, 1), len(box)-1)
			return box[:i], box[i:]
		}
	}
	return box[:1], box[1:]
}

func mean(box []weighted) color.Color {
	var sum [3]int
	total := 0
	for _, w := range box {
		for c := range 3 {
			sum[c] += int(w.rgb[c]) * w.count
		}
		total += w.count
	}
	return color.RGBA{uint8(sum[0] / total), uint8(sum[1] / total), uint8(sum[2] / total), 255}
}
