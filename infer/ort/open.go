//go:build cgo && linux

package ort

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	onnx "github.com/yalue/onnxruntime_go"

	"emberwing/infer"
)

// Open builds a session for model m. It tries o.Providers in order; a provider
// that cannot be used is an error if o.Strict, else the next one is tried and
// Report.Fallback says why. Errors in the request, the policy or the model
// (infer.ErrOptions, ErrPrecision, ErrVariant, ErrChecksum, ErrModelVersion …)
// always end it. A closed runtime is os.ErrClosed.
func (r *Runtime) Open(m *infer.Model, o infer.Options) (infer.Session, error) {
	began := time.Now()
	o, err := o.WithDefaults(runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, err
	}
	if err := r.acquire(); err != nil {
		return nil, err
	}
	s, err := r.open(m, o, began)
	if err != nil {
		r.release()
		return nil, fmt.Errorf("open model %s: %w", m.Name, err)
	}
	return s, nil
}

// open tries the providers in order.
func (r *Runtime) open(m *infer.Model, o infer.Options, began time.Time) (*session, error) {
	var tried []error
	for i, p := range o.Providers {
		a := &attempt{rt: r, model: m, o: o, provider: p, rest: o.Providers[i+1:]}
		s, err := a.open()
		if err == nil {
			s.report = a.report(tried, time.Since(began))
			return s, nil
		}
		tried = append(tried, err)
		if o.Strict || !a.mayFallBack(err) {
			break
		}
	}
	return nil, errors.Join(tried...)
}

// attempt is one try to open a model on one provider.
type attempt struct {
	rt       *Runtime
	model    *infer.Model
	o        infer.Options
	provider infer.Provider
	rest     []infer.Provider // that may be tried afterwards
	choice   infer.Choice
}

// mayFallBack reports whether another provider could do better.
func (a *attempt) mayFallBack(err error) bool {
	var fromLibrary *Error
	return errors.Is(err, infer.ErrProvider) || a.provider != infer.CPU && errors.As(err, &fromLibrary)
}

func (a *attempt) open() (*session, error) {
	var err error
	a.choice, err = infer.Choose(&a.model.Manifest, a.o.Precision, a.o.Method, a.provider, a.o.Board)
	missing := a.rt.Available(a.provider)
	if errors.Is(err, infer.ErrVariant) && missing != nil {
		return nil, missing // a variant that only an absent provider lacks is no obstacle to the next one
	}
	if err := cmp.Or(err, missing); err != nil {
		return nil, err
	}
	if err := a.strictly(a.choice.Reason); err != nil {
		return nil, err
	}
	data, err := a.model.Bytes(a.choice.Variant)
	if err != nil {
		return nil, err
	}
	takeLog() // what earlier calls have left
	s, err := a.session(data)
	log := takeLog()
	if err != nil {
		return nil, newError("on "+string(a.provider), err, log)
	}
	if err := a.settle(silentFallback(log)); err != nil {
		return nil, errors.Join(err, s.free())
	}
	return s, nil
}

// settle takes note of a precision that the provider has changed itself.
func (a *attempt) settle(reason string) error {
	if reason == "" {
		return nil
	}
	a.choice.Effective, a.choice.Reason = infer.FP16, reason
	return a.strictly(reason)
}

// strictly turns the reason of a fallback into an error in strict mode.
func (a *attempt) strictly(reason string) error {
	if reason == "" || !a.o.Strict {
		return nil
	}
	return &infer.PrecisionError{Requested: a.o.Precision, Provider: a.provider, Offered: infer.FP32, Reason: reason}
}

func (a *attempt) report(tried []error, took time.Duration) infer.Report {
	var reasons []string
	for i, err := range tried {
		reasons = append(reasons, string(a.o.Providers[i])+": "+brief(err))
	}
	if a.choice.Reason != "" {
		reasons = append(reasons, a.choice.Reason)
	}
	return infer.Report{
		Model:              a.model.Name,
		SHA256:             a.choice.Variant.SHA256,
		Method:             a.choice.Variant.Method,
		Target:             a.choice.Variant.Target,
		RequestedPrecision: a.o.Precision,
		Precision:          a.choice.Effective,
		RequestedProvider:  a.o.Providers[0],
		Provider:           a.provider,
		Fallback:           strings.Join(reasons, "; "),
		Library:            a.rt.version,
		LibraryPath:        a.rt.path,
		Threads:            a.o.Threads,
		Slots:              a.o.Slots,
		LoadTime:           took,
	}
}

// session creates the session and its slots from the bytes of the model.
func (a *attempt) session(data []byte) (*session, error) {
	opts, err := a.options()
	if err != nil {
		return nil, err
	}
	defer opts.Destroy()
	core, err := onnx.NewDynamicAdvancedSessionWithONNXData(data, nil, nil, opts)
	if err != nil {
		return nil, err
	}
	s := &session{rt: a.rt, core: core}
	for range a.o.Slots {
		sl, err := newSlot(core, &a.model.Manifest)
		if err != nil {
			return nil, errors.Join(err, s.free())
		}
		s.slots = append(s.slots, sl)
	}
	return s, nil
}

// options builds the session options. The caller destroys them.
func (a *attempt) options() (*onnx.SessionOptions, error) {
	opts, err := onnx.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		opts.SetGraphOptimizationLevel(onnx.GraphOptimizationLevelEnableAll),
		opts.SetExecutionMode(onnx.ExecutionModeSequential),
		opts.SetIntraOpNumThreads(a.o.Threads),
		opts.SetInterOpNumThreads(1),
		// Workers spin while a run lasts and sleep between frames.
		opts.AddSessionConfigEntry("session.force_spinning_stop", "1"),
		opts.AddSessionConfigEntry("session.disable_cpu_ep_fallback", strconv.Itoa(a.gpuOnly())),
		a.appendProvider(opts, a.provider))
	if err == nil && a.provider == infer.TensorRT && slices.Contains(a.rest, infer.CUDA) && a.rt.Available(infer.CUDA) == nil {
		err = a.appendProvider(opts, infer.CUDA) // runs what TensorRT cannot
	}
	if err != nil {
		return nil, errors.Join(err, opts.Destroy())
	}
	return opts, nil
}

// gpuOnly returns 1 if no node may run on the CPU.
func (a *attempt) gpuOnly() int {
	if a.o.Strict && a.provider != infer.CPU {
		return 1
	}
	return 0
}

func (a *attempt) appendProvider(opts *onnx.SessionOptions, p infer.Provider) error {
	switch p {
	case infer.TensorRT:
		return a.appendTensorRT(opts)
	case infer.CUDA:
		return appendCUDA(opts)
	}
	return nil // the library adds the CPU itself
}

func (a *attempt) appendTensorRT(opts *onnx.SessionOptions) error {
	cache, err := a.cacheFolder()
	if err != nil {
		return err
	}
	trt, err := onnx.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer trt.Destroy()
	if err := trt.Update(tensorRTOptions(a.choice.Effective, cache, a.rt.level)); err != nil {
		return err
	}
	return opts.AppendExecutionProviderTensorRT(trt)
}

// cacheFolder makes and returns the folder of this engine, "" without cache.
func (a *attempt) cacheFolder() (string, error) {
	if a.o.CacheDir == "" {
		return "", nil
	}
	key := cacheKey(a.choice.Variant.SHA256, a.choice.Effective, a.model.Input.Shape,
		a.rt.version, tensorRTVersion(searchDirs()), a.o.Board.Board)
	dir := filepath.Join(a.o.CacheDir, key)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make engine cache: %w", err)
	}
	return dir, nil
}

func appendCUDA(opts *onnx.SessionOptions) error {
	cuda, err := onnx.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer cuda.Destroy()
	if err := cuda.Update(cudaOptions()); err != nil {
		return err
	}
	return opts.AppendExecutionProviderCUDA(cuda)
}
