// Package synth renders a deterministic, seeded flight over synthetic terrain
// and offers it as a camera.Source: cruise, a growing smoke plume, flames, and
// a person who signals with one hand.
//
// It needs neither camera nor licence, so the demo, the tests and the
// documentation run on it. The same Options and sequence number give the same
// bytes. Everything seen is computed from the seed: no images are loaded.
//
// The picture is built in layers. Terrain is a periodic height and colour map
// with baked sun light, drawn column by column from near to far. Smoke and
// flames are soft sprites in a half-resolution layer that is tested against
// the terrain's depth. The person is a signed-distance model, shaded once and
// then moved as a sprite. A last pass adds what a sensor adds: motion blur,
// softness, vignetting, exposure and noise.
package synth
