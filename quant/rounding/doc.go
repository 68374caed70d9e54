// Package rounding chooses the integers of weights. Rounding each weight to the
// nearest is best for the weights and not for the layer: inputs that vary
// together let the error of one weight cancel those of others. The error of a
// row of weights, e = w-q, shows in the layer's output as e'He, with H the
// second moments of the inputs; minimising that one weight after another, each
// making up for the errors of those before it, is GPTQ (Frantar et al. 2022,
// arXiv:2210.17323), in the equivalent form of Babai's nearest plane.
package rounding
