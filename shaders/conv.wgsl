// 2-D convolution as implicit matrix product, in planar units, and the partial statistics of its outputs.
//
//     y[p, k] = alpha * sum over r, s, c of w[k, r, s, c] * x[p * stride + (r, s) * dilation - padding, c]
//
// in that order of r, s, c. A workgroup takes one block of pixels, counted over all images, of one job, 4 * QUADS pixels
// at a time, and up to TILE_OCTETS octets of output channels. Inputs and weights pass through workgroup memory 16
// products at a time: two octets of the flat list (tap, octet of input channels). Each thread keeps a quad of pixels by
// an octet of channels in registers. Threads of octets that a job lacks only load.
//
// Statistics: each thread merges (count, mean, M2) of its quads by Chan's formula; at the end of the block the threads of
// an octet add sums, then M2 about the block's mean, in the order of quads.
//
// QUADS and TILE_OCTETS come from build.rs: 32 and 8 for narrow tiles, 16 and 16 for wide ones.

@group(0) @binding(0) var<uniform> launch: Launch;
@group(0) @binding(1) var<storage, read> convs: array<Conv>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> weight_pool: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> arena: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4<f32>>;

const THREADS: u32 = 256u;
const DEPTH: u32 = 16u;
// Where the weights begin in workgroup memory, and how many quads of channels a product has.
const WEIGHTS: u32 = DEPTH * QUADS;
const CHANNEL_QUADS: u32 = 2u * TILE_OCTETS;
const STAGE: u32 = WEIGHTS + DEPTH * CHANNEL_QUADS;

// Inputs, [product][quad of pixels], then weights, [product][quad of channels]; sums of threads at the end.
var<workgroup> stage: array<vec4<f32>, STAGE>;
var<workgroup> means: array<vec4<f32>, CHANNEL_QUADS>;

// Eight neighboring channels of one pixel: two units.
struct Octet {
    low: vec4<f32>,
    high: vec4<f32>,
}

fn zeros() -> Octet {
    return Octet(vec4<f32>(0.0), vec4<f32>(0.0));
}

// Octets of so many units: the last one may lack its second unit.
fn octets_of(units: u32) -> u32 {
    return (units + 1u) / 2u;
}

// The four pixels that a thread loads: corner of their windows, and first pixel of their images.
struct Corners {
    y: vec4<i32>,
    x: vec4<i32>,
    image: vec4<i32>,
    inside: vec4<bool>,
}

fn corners(job: Conv, first: u32, end: u32) -> Corners {
    let pixel = vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u);
    let image_pixels = launch.height * launch.width;
    let image = pixel / image_pixels;
    let rest = pixel - image * image_pixels;
    let y = rest / launch.width;
    let x = rest - y * launch.width;
    return Corners(
        vec4<i32>(y * low(job.stride)) - i32(low(job.padding)),
        vec4<i32>(x * high(job.stride)) - i32(high(job.padding)),
        vec4<i32>(image * area(job.size)),
        pixel < vec4<u32>(end),
    );
}

// One pixel of the plane that begins at `unit`, under the kernel's (r, s); zeros where there is no such pixel.
fn input(job: Conv, y: i32, x: i32, image: i32, inside: bool, unit: u32) -> vec4<f32> {
    let height = i32(low(job.size));
    let width = i32(high(job.size));
    if (!inside || y < 0 || y >= height || x < 0 || x >= width) {
        return vec4<f32>(0.0);
    }
    let value = arena[unit + u32(image + y * width + x)];
    return select(value, max(value, vec4<f32>(0.0)), job.relu == 1u);
}

// Loads 4 pixels by 4 channels, and stores them by channel.
fn stage_inputs(job: Conv, at: Corners, thread: u32, step: u32, octets: u32) {
    let quad = thread % QUADS;
    let part = thread / QUADS;
    let position = 2u * step + (part >> 1u);
    var v0 = vec4<f32>(0.0);
    var v1 = vec4<f32>(0.0);
    var v2 = vec4<f32>(0.0);
    var v3 = vec4<f32>(0.0);
    let in_octets = octets_of(low(job.units));
    let tap = position / in_octets;
    let unit = 2u * (position - tap * in_octets) + (part & 1u);
    if (position < octets && unit < low(job.units)) {
        let r = tap / high(job.kernel);
        let s = tap - r * high(job.kernel);
        let y = at.y + i32(r * low(job.dilation));
        let x = at.x + i32(s * high(job.dilation));
        let first = job.input + unit * plane(area(job.size));
        v0 = input(job, y.x, x.x, at.image.x, at.inside.x, first);
        v1 = input(job, y.y, x.y, at.image.y, at.inside.y, first);
        v2 = input(job, y.z, x.z, at.image.z, at.inside.z, first);
        v3 = input(job, y.w, x.w, at.image.w, at.inside.w, first);
    }
    let place = part * 4u * QUADS + quad;
    stage[place] = vec4<f32>(v0.x, v1.x, v2.x, v3.x);
    stage[place + QUADS] = vec4<f32>(v0.y, v1.y, v2.y, v3.y);
    stage[place + 2u * QUADS] = vec4<f32>(v0.z, v1.z, v2.z, v3.z);
    stage[place + 3u * QUADS] = vec4<f32>(v0.w, v1.w, v2.w, v3.w);
}

// Loads 4 products by 4 output channels, and stores them by product.
fn stage_weights(job: Conv, thread: u32, step: u32, octets: u32) {
    let part = thread & 3u;
    let quad = thread >> 2u;
    let position = 2u * step + (part >> 1u);
    if (quad >= 2u * octets_of(high(job.units))) {
        return;
    }
    var w0 = vec4<f32>(0.0);
    var w1 = vec4<f32>(0.0);
    var w2 = vec4<f32>(0.0);
    var w3 = vec4<f32>(0.0);
    if (position < octets) {
        let row = rows[job.rows + (quad >> 1u)] + (quad & 1u) * 4u * octets + position;
        let half = part & 1u;
        w0 = weight_pool[row * 2u + half];
        w1 = weight_pool[(row + octets) * 2u + half];
        w2 = weight_pool[(row + 2u * octets) * 2u + half];
        w3 = weight_pool[(row + 3u * octets) * 2u + half];
    }
    let place = WEIGHTS + part * 4u * CHANNEL_QUADS + quad;
    stage[place] = vec4<f32>(w0.x, w1.x, w2.x, w3.x);
    stage[place + CHANNEL_QUADS] = vec4<f32>(w0.y, w1.y, w2.y, w3.y);
    stage[place + 2u * CHANNEL_QUADS] = vec4<f32>(w0.z, w1.z, w2.z, w3.z);
    stage[place + 3u * CHANNEL_QUADS] = vec4<f32>(w0.w, w1.w, w2.w, w3.w);
}

// Stores up to four pixels of the plane that begins at `unit`, those before `end`.
fn store(unit: u32, pixel: u32, end: u32, v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>) {
    if (pixel < end) {
        arena[unit + pixel] = v0;
    }
    if (pixel + 1u < end) {
        arena[unit + pixel + 1u] = v1;
    }
    if (pixel + 2u < end) {
        arena[unit + pixel + 2u] = v2;
    }
    if (pixel + 3u < end) {
        arena[unit + pixel + 3u] = v3;
    }
}

// Moments of a thread's pixels so far: how many, their means and M2.
struct Moments {
    count: f32,
    mean: Octet,
    m2: Octet,
}

fn square(v: vec4<f32>) -> vec4<f32> {
    return v * v;
}

// Merges four pixels, those before `end`.
fn merge_quad(m: Moments, v0: Octet, v1: Octet, v2: Octet, v3: Octet, first: u32, end: u32) -> Moments {
    if (first >= end) {
        return m;
    }
    let count = f32(min(4u, end - first));
    // Pixels behind the end are zeros: they do not change the sum, and must not the squares.
    let here = select(vec4<f32>(0.0), vec4<f32>(1.0), vec4<f32>(count) > vec4<f32>(0.5, 1.5, 2.5, 3.5));
    let low = (v0.low + v1.low + v2.low + v3.low) / count;
    let high = (v0.high + v1.high + v2.high + v3.high) / count;
    let low2 = here.x * square(v0.low - low) + here.y * square(v1.low - low)
        + here.z * square(v2.low - low) + here.w * square(v3.low - low);
    let high2 = here.x * square(v0.high - high) + here.y * square(v1.high - high)
        + here.z * square(v2.high - high) + here.w * square(v3.high - high);
    let share = count / (m.count + count);
    let delta_low = low - m.mean.low;
    let delta_high = high - m.mean.high;
    return Moments(
        m.count + count,
        Octet(m.mean.low + delta_low * share, m.mean.high + delta_high * share),
        Octet(
            m.m2.low + low2 + square(delta_low) * (m.count * share),
            m.m2.high + high2 + square(delta_high) * (m.count * share),
        ),
    );
}

// The sum, over the quads of pixels, of what threads have left for a quad of channels.
fn total(channel_quad: u32) -> vec4<f32> {
    let place = (channel_quad >> 1u) * QUADS * 2u + (channel_quad & 1u);
    var sum = vec4<f32>(0.0);
    for (var quad = 0u; quad < QUADS; quad++) {
        sum += stage[place + 2u * quad];
    }
    return sum;
}

@compute @workgroup_size(256)
fn conv(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = tile_of(workgroup, workgroups);
    if (block >= launch.tiles) {
        return;
    }
    let job = convs[launch.first + workgroup.y];
    let out_units = high(job.units);
    let first = block * launch.block;
    let end = min(first + launch.block, launch.images * launch.height * launch.width);
    // Octets of one row of the weights: taps by octets of input channels.
    let octets = low(job.kernel) * high(job.kernel) * octets_of(low(job.units));
    let quad = thread % QUADS;
    let octet = thread / QUADS;
    let computes = octet < octets_of(out_units);
    var moments = Moments(0.0, zeros(), zeros());

    for (var tile = first; tile < end; tile += 4u * QUADS) {
        let at = corners(job, tile + 4u * quad, end);
        var a0 = zeros();
        var a1 = zeros();
        var a2 = zeros();
        var a3 = zeros();
        for (var step = 0u; 2u * step < octets; step++) {
            if (thread < 4u * QUADS) {
                stage_inputs(job, at, thread, step, octets);
            } else if (thread < 4u * QUADS + 4u * CHANNEL_QUADS) {
                stage_weights(job, thread - 4u * QUADS, step, octets);
            }
            workgroupBarrier();
            if (computes) {
                for (var k = 0u; k < DEPTH; k++) {
                    let x = stage[k * QUADS + quad];
                    let w = stage[WEIGHTS + k * CHANNEL_QUADS + 2u * octet];
                    let v = stage[WEIGHTS + k * CHANNEL_QUADS + 2u * octet + 1u];
                    a0.low += x.x * w;
                    a0.high += x.x * v;
                    a1.low += x.y * w;
                    a1.high += x.y * v;
                    a2.low += x.z * w;
                    a2.high += x.z * v;
                    a3.low += x.w * w;
                    a3.high += x.w * v;
                }
            }
            workgroupBarrier();
        }
        if (computes) {
            let pixel = tile + 4u * quad;
            a0 = Octet(a0.low * job.alpha, a0.high * job.alpha);
            a1 = Octet(a1.low * job.alpha, a1.high * job.alpha);
            a2 = Octet(a2.low * job.alpha, a2.high * job.alpha);
            a3 = Octet(a3.low * job.alpha, a3.high * job.alpha);
            let output_plane = plane(launch.height * launch.width);
            let unit = job.output + 2u * octet * output_plane;
            store(unit, pixel, end, a0.low, a1.low, a2.low, a3.low);
            if (2u * octet + 1u < out_units) {
                store(unit + output_plane, pixel, end, a0.high, a1.high, a2.high, a3.high);
            }
            moments = merge_quad(moments, a0, a1, a2, a3, pixel, end);
        }
    }

    if (job.partials == NONE) {
        return;
    }
    stage[2u * thread] = moments.mean.low * moments.count;
    stage[2u * thread + 1u] = moments.mean.high * moments.count;
    workgroupBarrier();
    let adds = thread < out_units;
    let place = (job.partials + block * out_units + thread) * 2u;
    if (adds) {
        let sum = total(thread);
        partials[place] = sum;
        means[thread] = sum / f32(end - first);
    }
    workgroupBarrier();
    if (computes) {
        let low = moments.mean.low - means[2u * octet];
        let high = moments.mean.high - means[2u * octet + 1u];
        stage[2u * thread] = moments.m2.low + square(low) * moments.count;
        stage[2u * thread + 1u] = moments.m2.high + square(high) * moments.count;
    }
    workgroupBarrier();
    if (adds) {
        partials[place + 1u] = total(thread);
    }
}
