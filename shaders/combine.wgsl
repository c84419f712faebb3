// Sums of terms: normalize, ReLU, truncate, add and concat are ways of reading. The first terms may be under a window.
// And code bits.
//
//     v[p, k] = pool of (sum over the first terms of f_t(q, k)) over p's window of q + sum over the others of f_t(p, k)
//     f_t(p, k) = y, or y * scale + shift; then max(., 0); 0 where t does not cover k
//
// A tile is up to 128 pixels of one image, a pixel a thread; it takes all units of the output, one after the other. What is
// under a window is summed once a tile, in workgroup memory, where that has room for the rows that the windows look at,
// else once a window. A term's code is the sign of its value, v > 0, which the ReLU leaves as it is; the job's own code is
// the sign of what it stores. A code word is 32 pixels of a channel.

@group(0) @binding(0) var<uniform> launch: Launch;
@group(0) @binding(1) var<storage, read> combines: array<Combine>;
@group(0) @binding(2) var<storage, read> terms: array<Term>;
@group(0) @binding(3) var<storage, read> norms: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> arena: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> codes: array<u32>;
@group(0) @binding(6) var<storage, read_write> statuses: array<atomic<u32>>;

const THREADS: u32 = 128u;
const TILE_PIXELS: u32 = 128u;
// Pixels that a tile's windows may look at, for their sums to be staged.
const STAGED_PIXELS: u32 = 512u;

var<workgroup> staged: array<vec4<f32>, STAGED_PIXELS>;
// Signs of the four channels of each pixel.
var<workgroup> signs: array<u32, TILE_PIXELS>;
// Whether all numbers that this thread has looked at are finite.
var<private> finite: bool = true;

// A unit of a term's channels at one pixel, counted over all images; zeros behind the term's channels.
fn unit_of(term: Term, unit: u32, pixel: u32) -> vec4<f32> {
    var v = arena[term.source + unit * plane(area(term.size)) + pixel];
    if (term.norm != NONE) {
        let norm = 2u * (term.norm + unit);
        v = fma(v, norms[norm], norms[norm + 1u]);
    }
    let channels = vec4<u32>(4u * unit) + vec4<u32>(0u, 1u, 2u, 3u);
    v = select(vec4<f32>(0.0), v, channels < vec4<u32>(term.channels));
    finite = finite && are_finite(v);
    if ((term.flags & RELU) != 0u) {
        v = max(v, vec4<f32>(0.0));
    }
    return v;
}

// The term's channel that goes to the first of a unit of the output: below 0 where the term begins with a later one.
fn first_channel(term: Term, unit: u32) -> i32 {
    return i32(4u * unit) - i32(term.to);
}

// Whether a term has any of a unit's channels.
fn covers(term: Term, unit: u32) -> bool {
    let first = first_channel(term, unit);
    return first > -4 && first < i32(term.channels);
}

// What a term that covers a unit adds to it.
fn contribution(term: Term, unit: u32, pixel: u32) -> vec4<f32> {
    let first = first_channel(term, unit);
    let shift = u32(first & 3);
    let source = first >> 2u;
    var here = vec4<f32>(0.0);
    var next = vec4<f32>(0.0);
    if (source >= 0) {
        here = unit_of(term, u32(source), pixel);
    }
    if (shift > 0u && 4 * (source + 1) < i32(term.channels)) {
        next = unit_of(term, u32(source + 1), pixel);
    }
    // Eight channels, `shift` of them dropped in front.
    if ((shift & 2u) != 0u) {
        here = vec4<f32>(here.zw, next.xy);
        next = next.zwzw;
    }
    if ((shift & 1u) != 0u) {
        here = vec4<f32>(here.yzw, next.x);
    }
    return here;
}

// The sum of the terms that are under the window.
fn windowed_sum(job: Combine, unit: u32, pixel: u32) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var t = job.first_term; t < job.first_term + high(job.terms); t++) {
        let term = terms[t];
        if (covers(term, unit)) {
            sum += contribution(term, unit, pixel);
        }
    }
    finite = finite && are_finite(sum);
    return sum;
}

// What a window looks at along one axis: the first place, and the one behind the last.
fn span(at: u32, stride: u32, window: u32, padding: u32, size: u32) -> vec2<u32> {
    let first = at * stride;
    return vec2<u32>(max(first, padding) - padding, min(first + window - padding, size));
}

fn rows_of(job: Combine, y: u32) -> vec2<u32> {
    return span(y, low(job.stride), low(job.window), low(job.padding), low(job.size));
}

fn columns_of(job: Combine, x: u32) -> vec2<u32> {
    return span(x, high(job.stride), high(job.window), high(job.padding), high(job.size));
}

// The pixels of an image whose sums are staged: those of some rows, none where there is no room for them.
struct Stage {
    first: u32,
    count: u32,
}

fn stage_of(job: Combine, first_pixel: u32, pixels: u32) -> Stage {
    let last_pixel = min(first_pixel + TILE_PIXELS, pixels) - 1u;
    let first_row = rows_of(job, first_pixel / launch.width).x;
    let end = rows_of(job, last_pixel / launch.width).y;
    let count = (end - first_row) * high(job.size);
    return Stage(first_row * high(job.size), select(0u, count, count <= STAGED_PIXELS));
}

// What is under a window at one pixel of an image, which begins at pixel `before` of all images.
fn windowed(job: Combine, unit: u32, before: u32, pixel: u32, stage: Stage) -> vec4<f32> {
    if (stage.count > 0u) {
        return staged[pixel - stage.first];
    }
    return windowed_sum(job, unit, before + pixel);
}

fn fold(a: vec4<f32>, b: vec4<f32>, is_max: bool) -> vec4<f32> {
    if (is_max) {
        return max(a, b);
    }
    return a + b;
}

// The maximum or the average in the window of the output's (y, x): across its rows first, then down.
fn pooled(job: Combine, unit: u32, before: u32, y: u32, x: u32, stage: Stage) -> vec4<f32> {
    let rows = rows_of(job, y);
    let columns = columns_of(job, x);
    let is_max = low(job.pool) == MAX_POOL;
    var all = vec4<f32>(0.0);
    for (var row = rows.x; row < rows.y; row++) {
        let left = row * high(job.size);
        var across = windowed(job, unit, before, left + columns.x, stage);
        for (var column = columns.x + 1u; column < columns.y; column++) {
            across = fold(across, windowed(job, unit, before, left + column, stage), is_max);
        }
        if (row == rows.x) {
            all = across;
        } else {
            all = fold(all, across, is_max);
        }
    }
    if (is_max) {
        return all;
    }
    return all * (1.0 / f32((rows.y - rows.x) * (columns.y - columns.x)));
}

// The four signs of a unit.
fn signs_of(v: vec4<f32>) -> u32 {
    let bits = select(vec4<u32>(0u), vec4<u32>(1u, 2u, 4u, 8u), v > vec4<f32>(0.0));
    return bits.x | bits.y | bits.z | bits.w;
}

// Stores the signs that all threads have for a unit: up to `words` of each channel, from place `to` on.
fn emit(to: u32, words: u32, its_signs: u32, thread: u32) {
    signs[thread] = its_signs;
    workgroupBarrier();
    let word = thread / 4u;
    let channel = thread % 4u;
    if (word < min(words, TILE_PIXELS / 32u)) {
        var bits = 0u;
        for (var pixel = 0u; pixel < 32u; pixel++) {
            bits |= ((signs[32u * word + pixel] >> channel) & 1u) << pixel;
        }
        codes[to + thread] = bits;
    }
    workgroupBarrier();
}

@compute @workgroup_size(128)
fn combine_any(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile = tile_of(workgroup, workgroups);
    if (tile >= launch.tiles) {
        return;
    }
    let job = combines[launch.first + workgroup.y];
    let pixels = launch.height * launch.width;
    let tiles = launch.tiles / launch.images;
    let image = tile / tiles;
    let first_pixel = tile % tiles * TILE_PIXELS;
    let pixel = first_pixel + thread;
    let inside = pixel < pixels;
    // Words of a channel, those of the tile, and where a region would have them that begins with the image's codes.
    let channel_words = (pixels + 31u) / 32u;
    let words = channel_words - first_pixel / 32u;
    let image_codes = job.codes + image * job.words_per_image + first_pixel / 8u;

    let has_window = low(job.pool) != NO_POOL;
    let before = image * area(job.size);
    var stage = Stage(0u, 0u);
    var under_window = 0u;
    if (has_window) {
        stage = stage_of(job, first_pixel, pixels);
        under_window = high(job.terms);
    }

    for (var unit = 0u; unit < units(job.channels); unit++) {
        var sum = vec4<f32>(0.0);
        if (has_window) {
            for (var place = thread; place < stage.count; place += THREADS) {
                staged[place] = windowed_sum(job, unit, before + stage.first + place);
            }
            workgroupBarrier();
            if (inside) {
                sum = pooled(job, unit, before, pixel / launch.width, pixel % launch.width, stage);
            }
            workgroupBarrier();
        }
        // Terms behind the window, and the signs of all: terms of one region stand side by side.
        var region = NONE;
        var its_signs = 0u;
        for (var t = 0u; t < low(job.terms); t++) {
            let term = terms[job.first_term + t];
            if (!covers(term, unit)) {
                continue;
            }
            if (term.code != region) {
                if (region != NONE) {
                    emit(image_codes + region + 4u * unit * channel_words, words, its_signs, thread);
                }
                region = term.code;
                its_signs = 0u;
            }
            if (inside && (t >= under_window || region != NONE)) {
                let v = contribution(term, unit, image * pixels + pixel);
                its_signs |= signs_of(v);
                sum += select(vec4<f32>(0.0), v, t >= under_window);
            }
        }
        if (region != NONE) {
            emit(image_codes + region + 4u * unit * channel_words, words, its_signs, thread);
        }
        finite = finite && are_finite(sum);
        if (job.output != NONE && inside) {
            arena[job.output + unit * plane(pixels) + image * pixels + pixel] = sum;
        }
        if (job.code != NONE) {
            emit(image_codes + job.code + 4u * unit * channel_words, words, signs_of(sum), thread);
        }
    }
    if (high(job.pool) == CHECKS && !finite) {
        atomicMin(&statuses[low(job.status)], high(job.status));
    }
}
