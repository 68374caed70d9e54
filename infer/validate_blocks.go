package infer

import (
	"fmt"
	"slices"
)

// extras checks the further outputs.
func (c *checker) extras(m *Manifest) {
	names := []string{m.Output.Name}
	n := int64(len(m.Labels))
	if f := m.Features; f != nil {
		ok := len(f.Shape) == 2 && f.Shape[0] == 1 && f.Shape[1] >= 1 && f.Shape[1] <= MaxFeatures
		c.want(ok, "features.shape", f.Shape, fmt.Sprintf("[1,D] with D of 1..%d", MaxFeatures), ErrShape)
		c.extra(m, "features", f, names)
		names = append(names, f.Name)
	}
	if x := m.CAM; x != nil {
		c.want(isMap(x.Shape, n), "cam.shape", x.Shape, mapShape(n), ErrShape)
		c.extra(m, "cam", x, names)
	}
}

func (c *checker) extra(m *Manifest, key string, x *Extra, taken []string) {
	c.want(m.Is(Classifier), key, m.Kind, "a classifier", nil)
	c.want(
		x.Name != "" && !slices.Contains(taken, x.Name),
		key+".name",
		x.Name,
		"the name of a further graph output",
		ErrTensor,
	)
}

// isMap reports whether shape is [1,n,h,w] with sides of a picture.
func isMap(shape []int64, n int64) bool {
	return len(shape) == 4 && shape[0] == 1 && shape[1] == n &&
		shape[2] >= 1 && shape[2] <= maxSide && shape[3] >= 1 && shape[3] <= maxSide
}

func mapShape(n int64) string {
	return fmt.Sprintf("[1,%d,h,w], one map for each label, with sides of 1..%d", n, maxSide)
}

// ood checks the statistics of one variant; faults give lengths, not values.
func (c *checker) ood(key string, m *Manifest, o *OOD) {
	if o == nil {
		return
	}
	c.want(m.Features != nil, key, "statistics", "features to be declared", ErrTensor)
	if m.Features == nil || len(m.Features.Shape) != 2 {
		return
	}
	d := int(m.Features.Shape[1])
	c.want(
		len(o.Means) == len(m.Labels),
		key+".means",
		len(o.Means),
		fmt.Sprintf("%d vectors, one for each label", len(m.Labels)),
		ErrLabels,
	)
	for i, mean := range o.Means {
		c.want(
			len(mean) == d && allFinite(mean),
			fmt.Sprintf("%s.means[%d]", key, i),
			len(mean),
			fmt.Sprintf("%d finite values", d),
			ErrShape,
		)
	}
	c.want(
		len(o.Factor) == d*(d+1)/2 && allFinite(o.Factor) && positiveDiagonal(o.Factor),
		key+".factor",
		len(o.Factor),
		fmt.Sprintf("the %d finite values of a lower triangle with a positive diagonal", d*(d+1)/2),
		ErrShape,
	)
	c.want(finite(o.Threshold) && o.Threshold > 0, key+".threshold", o.Threshold, "more than 0", nil)
}

func allFinite(x []float32) bool {
	return !slices.ContainsFunc(x, func(v float32) bool { return !finite(v) })
}

// positiveDiagonal looks at the last value of each row of a packed lower
// triangle.
func positiveDiagonal(l []float32) bool {
	for row, at := 1, 0; at < len(l); row++ {
		if !(l[at] > 0) {
			return false
		}
		at += row + 1
	}
	return true
}

// blocks checks the optional blocks.
func (c *checker) blocks(m *Manifest) {
	c.nms(m)
	c.want(m.Is(Classifier) || len(m.Companions()) == 0 && m.Vote == nil, "kind", m.Kind,
		"a classifier, which alone may have gate, localiser, vote, mix and segmenter", nil)
	c.want(
		m.Vote == nil || m.Localiser == nil,
		"vote",
		m.Vote,
		"no vote beside a localiser, which places the crops itself",
		nil,
	)
	if v := m.Vote; v != nil {
		c.want(v.Crops >= 1 && v.Crops <= MaxCrops, "vote.crops", v.Crops, fmt.Sprintf("1..%d", MaxCrops), nil)
		c.want(v.Margin > 0 && v.Margin <= 0.5, "vote.margin", v.Margin, "more than 0 and at most 0.5", nil)
	}
	if x := m.Mix; x != nil {
		c.companion(m, "mix.model", x.Model)
		c.want(finite(x.Bias), "mix.bias", x.Bias, "a finite number", nil)
		c.want(finite(x.Slope) && x.Slope >= 0, "mix.slope", x.Slope, "0 or more", nil)
	}
	if s := m.Segmenter; s != nil {
		c.companion(m, "segmenter.model", s.Model)
	}
	c.gate(m)
	c.localiser(m)
}

func (c *checker) nms(m *Manifest) {
	c.want((m.NMS != nil) == m.Is(Detector), "nms", m.NMS, "the suppression of a detector, and of nothing else", nil)
	if n := m.NMS; n != nil {
		c.want(n.IoU > 0 && n.IoU < 1, "nms.iou", n.IoU, "more than 0 and less than 1", nil)
		c.want(n.Max >= 1 && n.Max <= MaxBoxes, "nms.max", n.Max, fmt.Sprintf("1..%d", MaxBoxes), nil)
	}
}

func (c *checker) gate(m *Manifest) {
	g := m.Gate
	if g == nil {
		return
	}
	c.companion(m, "gate.model", g.Model)
	c.want(m.Alarm != nil, "gate", g.Model, "a model with an alarm", ErrLabels)
	c.want(g.Threshold > 0 && g.Threshold <= m.Decision.Release, "gate.threshold", g.Threshold,
		fmt.Sprintf("more than 0 and at most decision.release, %v", m.Decision.Release), nil)
	c.want(g.Every >= 1 && g.Every <= maxEvery, "gate.every", g.Every, fmt.Sprintf("1..%d frames", maxEvery), nil)
}

func (c *checker) localiser(m *Manifest) {
	l := m.Localiser
	if l == nil {
		return
	}
	c.companion(m, "localiser.model", l.Model)
	c.want(l.Pad >= 1 && l.Pad <= 4, "localiser.pad", l.Pad, "1..4", nil)
	c.want(
		l.WholeSide >= 0 && l.WholeSide <= maxPicture,
		"localiser.whole_side",
		l.WholeSide,
		fmt.Sprintf("0..%d", maxPicture),
		nil,
	)
	c.want(
		l.MinPixels >= 0 && l.MinPixels <= maxSide,
		"localiser.min_pixels",
		l.MinPixels,
		fmt.Sprintf("0..%d", maxSide),
		nil,
	)
}

// companion checks the name of another model's folder.
func (c *checker) companion(m *Manifest, key, name string) {
	c.want(isName(name) && name != m.Name, key, name, "the name of another model's folder beside this one's", nil)
}
