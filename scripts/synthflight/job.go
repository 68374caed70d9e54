package main

import (
	"fmt"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"

	"emberwing/camera"
	"emberwing/camera/synth"
)

// job is one run: how many frames of which flights go where.
type job struct {
	out               string
	seed              uint64
	frames, perFlight int
	width, height     int

	written int
	frame   camera.Frame
}

// fps is how finely the moments of a flight can be picked.
const fps = 30

// write renders all flights and returns the number of pictures written.
func (j *job) write() (int, error) {
	gestures := synth.Gestures()
	for i := 0; i*j.perFlight < j.frames; i++ {
		n := min(j.perFlight, j.frames-i*j.perFlight)
		if err := j.flight(j.seed+uint64(i), gestures[i%len(gestures)], n); err != nil {
			return j.written, err
		}
	}
	return j.written, nil
}

// flight writes n frames of one flight: half of them while the hand is up, a
// third while there is smoke.
func (j *job) flight(seed uint64, gesture string, n int) error {
	r := rand.New(rand.NewPCG(seed, 77))
	script := vary(synth.DefaultScript(), r)
	f, err := synth.New(synth.Options{Seed: seed, Width: j.width, Height: j.height, FPS: fps, Gesture: gesture, Script: script})
	if err != nil {
		return err
	}
	defer f.Close()
	m := moments(script)
	for i := range n {
		pick := m.hand
		switch i % 6 {
		case 0:
			pick = m.calm
		case 2, 4:
			pick = m.burning
		}
		seq := pick[r.IntN(len(pick))]
		if err := f.Render(seq, &j.frame); err != nil {
			return err
		}
		if err := j.sort(f.Truth(seq), seed, seq, i, 72+r.IntN(24)); err != nil {
			return err
		}
	}
	return nil
}

// vary changes how far away, how strong and how high up the fire of a script
// is seen; every second flight has smoke only.
func vary(s synth.Script, r *rand.Rand) synth.Script {
	s.FireAhead *= 0.75 + 1.6*r.Float64()*r.Float64()
	s.FireRight += (r.Float64() - 0.5) * 0.5 * s.FireAhead
	fire, smoke, climb := 0.4+0.6*r.Float64(), 0.5+0.5*r.Float64(), 0.85+0.6*r.Float64()
	if r.IntN(2) == 0 {
		fire = 0
	}
	for i := range s.Phases {
		p := &s.Phases[i]
		p.Fire *= fire
		p.Smoke *= smoke
		p.Altitude *= climb
	}
	return s
}

// choice lists the frames of a script with a raised hand, with smoke or fire,
// and with neither.
type choice struct{ hand, burning, calm []uint64 }

func moments(s synth.Script) (c choice) {
	var at, before float64
	for _, p := range s.Phases {
		for seq := uint64(at*fps) + 1; float64(seq) < (at+p.Seconds)*fps; seq++ {
			switch {
			case p.Hand == 1 && before == 1:
				c.hand = append(c.hand, seq)
			case p.Smoke > 0:
				c.burning = append(c.burning, seq)
			default:
				c.calm = append(c.calm, seq)
			}
		}
		at, before = at+p.Seconds, p.Hand
	}
	return c
}

// sort writes the current frame to the folders of its labels. Of the many
// frames without a hand or fire only some are kept.
func (j *job) sort(t synth.Truth, seed, seq uint64, i, quality int) error {
	name := fmt.Sprintf("synth_%d_%04d.jpg", seed, seq)
	if label := t.Label(); label != "" && (t.Gesture == "none" || i%6 == 1) {
		if err := j.save(filepath.Join("fire", label), name, quality); err != nil {
			return err
		}
	}
	if t.Gesture != "" && (t.Gesture != "none" || i%6 == 0) {
		if err := j.save(filepath.Join("gesture", t.Gesture), name, quality); err != nil {
			return err
		}
		return j.box(t, name)
	}
	return nil
}

// box appends a line "label/name,xmin,ymin,xmax,ymax" to gesture/boxes.csv,
// in shares of the picture's sides; a picture without a hand has none.
func (j *job) box(t synth.Truth, name string) error {
	if t.HandBox == [4]float64{} {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(j.out, "gesture", "boxes.csv"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	b := t.HandBox
	if _, err := fmt.Fprintf(file, "%s/%s,%.4f,%.4f,%.4f,%.4f\n", t.Gesture, name, b[0], b[1], b[2], b[3]); err != nil {
		return fmt.Errorf("append to %s: %w", file.Name(), err)
	}
	return file.Close()
}

func (j *job) save(folder, name string, quality int) error {
	dir := filepath.Join(j.out, folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := jpeg.Encode(file, picture(&j.frame), &jpeg.Options{Quality: quality}); err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	j.written++
	return file.Close()
}

// picture copies an RGB24 frame into an image.
func picture(f *camera.Frame) image.Image {
	im := image.NewRGBA(image.Rect(0, 0, f.Width, f.Height))
	for i := range f.Width * f.Height {
		copy(im.Pix[4*i:4*i+3], f.Pix[3*i:3*i+3])
		im.Pix[4*i+3] = 255
	}
	return im
}
