package infer

// Kind says what the main output of a model holds.
type Kind string

// The kinds. An empty kind is Classifier.
const (
	// Classifier answers one logit for each label: output [1,C], kind "logits".
	Classifier Kind = "classifier"
	// Detector answers N candidate boxes: output [1,N,4+C], kind "boxes". A row
	// holds the centre x, centre y, width and height as shares of the input's
	// width and height (0..1, from the top left corner), and then one logit
	// (before the sigmoid) for each label. The graph decodes anchors and grids;
	// suppression is done here.
	Detector Kind = "detector"
	// Segmenter answers one map of logits (before the sigmoid) for each label:
	// output [1,C,h,w], kind "masks", h and w usually a fraction of the input's.
	Segmenter Kind = "segmenter"
)

// Target names the provider that a file was made for; empty means any.
type Target string

// The targets of a variant.
const (
	AnyTarget      Target = ""
	TargetCPU      Target = "cpu"
	TargetCUDA     Target = "cuda"
	TargetTensorRT Target = "tensorrt"
)

func (t Target) valid() bool { return t == AnyTarget || Provider(t).Valid() }

// Method names how an int8 file got its scales; empty means unstated.
type Method string

// The methods of an int8 variant.
const (
	PTQ Method = "ptq" // calibrated after training
	QAT Method = "qat" // trained with the rounding in place
)

func (m Method) valid() bool { return m == "" || m == PTQ || m == QAT }

// Extra declares a further output tensor of a classifier.
type Extra struct {
	// Name is the name of the graph output.
	Name string `json:"name"`
	// Shape is [1,D] for features, D at most MaxFeatures, and [1,C,h,w] for a
	// class activation map, C being the number of labels.
	Shape []int64 `json:"shape"`
}

// MaxFeatures bounds the length of the feature vector; a longer one is
// projected inside the graph.
const MaxFeatures = 64

// NMS tunes what becomes of the boxes of a detector.
type NMS struct {
	// IoU is the overlap above which the lower-scored of two boxes is dropped,
	// 0 < IoU < 1.
	IoU float32 `json:"iou"`
	// Max is the number of boxes kept, 1..MaxBoxes.
	Max int `json:"max"`
}

// MaxBoxes bounds NMS.Max.
const MaxBoxes = 16

// OOD holds the statistics of a variant's features for telling pictures unlike
// the training set apart, after Lee et al. (arXiv:1807.03888) with the
// penultimate features alone and without input gradients:
//
//	d² = min over c of |Lᵀ(x-Means[c])|², L·Lᵀ = Σ⁻¹, Σ the tied covariance.
type OOD struct {
	// Means holds one vector of D features for each label.
	Means [][]float32 `json:"means"`
	// Factor is the lower triangle of L, row by row: D(D+1)/2 values with a
	// positive diagonal.
	Factor []float32 `json:"factor"`
	// Threshold is the d² above which a picture counts as unknown, more than 0.
	Threshold float32 `json:"threshold"`
}

// Vote makes the answer steady under small motions of the camera: instead of
// the whole picture, crops are classified whose place follows the content, so
// that a picture shifted by a pixel gives the same pixels to the model. The
// probabilities of the crops are averaged. It is in the spirit of robust crop
// selection (Shifman and Weiss, arXiv:2404.07153).
type Vote struct {
	// Crops is the number of crops classified, 1..MaxCrops; each is a run of
	// the model.
	Crops int `json:"crops"`
	// Margin is how far a crop may move, as a share of each side: a crop
	// measures 1-Margin of the picture. 0 < Margin <= 0.5.
	Margin float32 `json:"margin"`
}

// MaxCrops bounds Vote.Crops.
const MaxCrops = 4

// Mix lets two classifiers answer together, after adaptive smoothing (Bai et
// al., arXiv:2301.12554) without its mixing network: p = (1-a)·own + a·other,
// a = sigmoid(Bias + Slope·(margin(other) - margin(own))), margin being the
// gap between the two best probabilities.
type Mix struct {
	// Model is the folder, beside this model's, of the other classifier. It
	// has the same labels.
	Model string  `json:"model"`
	Bias  float32 `json:"bias"`
	Slope float32 `json:"slope"`
}

// Gate puts a tiny classifier before the model, which runs only on frames that
// the gate lets through.
type Gate struct {
	// Model is the folder, beside this model's, of the gate: a classifier with
	// an alarm.
	Model string `json:"model"`
	// Threshold is the alarm score of the gate from which the model runs,
	// 0 < Threshold <= decision.release, so that a frame that is held back
	// never speaks for an event.
	Threshold float32 `json:"threshold"`
	// Every is the longest way from one run of the model to the next in
	// frames: after Every-1 frames held back, the next runs in any case. At
	// least 1, which is no gate at all.
	Every int `json:"every"`
}

// Localiser puts a detector before the model, which then sees a crop around
// each box instead of the frame; see [CropAround] for the crop. The answer is
// that of the crop with the largest box score times one less the probability of
// the label "none", if the model has it.
type Localiser struct {
	// Model is the folder, beside this model's, of the detector.
	Model string `json:"model"`
	// Pad is the side of the crop in units of the box's longer side, 1..4.
	Pad float32 `json:"pad"`
	// WholeSide says what is a crop already: a picture whose longer side has
	// at most this many pixels is classified whole, and searched for boxes only
	// if that shows label "none", with one as the whole's box score. Of a larger
	// picture without a box nothing is reported, label "none" if the model has
	// it. 0 never classifies the whole picture.
	WholeSide int `json:"whole_side,omitempty"`
	// MinPixels is the longer side below which a box is too small to be
	// classified and does not count; 0 for no bound.
	MinPixels int `json:"min_pixels,omitempty"`
}

// Segment adds masks to alarms: the segmenter runs on frames whose trigger
// score reaches the threshold, or on all.
type Segment struct {
	// Model is the folder, beside this model's, of the segmenter.
	Model string `json:"model"`
	// Always runs it on every frame that the model runs on.
	Always bool `json:"always,omitempty"`
}

// Companions lists the models that m names, each once, in a fixed order: gate,
// localiser, mix, segmenter.
func (m *Manifest) Companions() []string {
	var names []string
	if m.Gate != nil {
		names = append(names, m.Gate.Model)
	}
	if m.Localiser != nil {
		names = append(names, m.Localiser.Model)
	}
	if m.Mix != nil {
		names = append(names, m.Mix.Model)
	}
	if m.Segmenter != nil {
		names = append(names, m.Segmenter.Model)
	}
	return names
}
