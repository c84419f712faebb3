// Arithmetic of units: four channels of a pixel at once.
#pragma once
#include "planar.cuh"

DEVICE float4 all_four(float v) { return make_float4(v, v, v, v); }

// Of NaN and a number the number.
DEVICE float4 maximum(const float4 &x, const float4 &y) {
    return make_float4(fmaxf(x.x, y.x), fmaxf(x.y, y.y), fmaxf(x.z, y.z), fmaxf(x.w, y.w));
}

DEVICE float4 sum(const float4 &x, const float4 &y) {
    return make_float4(x.x + y.x, x.y + y.y, x.z + y.z, x.w + y.w);
}

// x * s + y, rounded once: where s is 0 or 1, the sum of what is there.
DEVICE float4 sum_if(const float4 &x, float s, const float4 &y) {
    return make_float4(fmaf(x.x, s, y.x), fmaf(x.y, s, y.y), fmaf(x.z, s, y.z), fmaf(x.w, s, y.w));
}

DEVICE float4 times(const float4 &x, float s) { return make_float4(x.x * s, x.y * s, x.z * s, x.w * s); }

// The batch norm of a unit.
DEVICE float4 normalize(const float4 &y, const float4 &scale, const float4 &shift) {
    return make_float4(fmaf(y.x, scale.x, shift.x), fmaf(y.y, scale.y, shift.y), fmaf(y.z, scale.z, shift.z),
                       fmaf(y.w, scale.w, shift.w));
}

// The code words of a unit for the 32 pixels that a warp has: bit l is lane l's v > 0. All lanes take part.
DEVICE uint4 signs(const float4 &v) {
    return make_uint4(__ballot_sync(0xffffffffu, v.x > 0.0f), __ballot_sync(0xffffffffu, v.y > 0.0f),
                      __ballot_sync(0xffffffffu, v.z > 0.0f), __ballot_sync(0xffffffffu, v.w > 0.0f));
}
