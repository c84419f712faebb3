// Sums of terms: normalize, ReLU, truncate, add and concat are ways of reading. Then pooling, and code bits.
//
//     v[p, k] = sum over terms t that cover k of f_t(x_t[p, k - to_t + channel_t])
//     f_t(y) = y, or (y - mean) * a + beta; then max(., 0); then the average over 3 x 3 pixels
//
// A tile is up to 128 pixels of one image; a thread takes an octet of a pixel at a time, neighbors neighboring
// octets. A term's code is the sign of its value, v > 0, which the ReLU leaves as it is; the job's own code is the sign
// of what it stores. Four threads have a byte each of a code word, which one of them stores.

@group(0) @binding(0) var<uniform> launch: Launch;
@group(0) @binding(1) var<storage, read> combines: array<Combine>;
@group(0) @binding(2) var<storage, read> terms: array<Term>;
@group(0) @binding(3) var<storage, read> norms: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> arena: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> codes: array<u32>;
@group(0) @binding(6) var<storage, read_write> statuses: array<atomic<u32>>;

const THREADS: u32 = 128u;
const TILE_PIXELS: u32 = 128u;

var<workgroup> bytes: array<u32, THREADS>;
// Whether all numbers that this thread has seen are finite.
var<private> finite: bool = true;

fn add(a: Octet, b: Octet) -> Octet {
    return Octet(a.low + b.low, a.high + b.high);
}

// An octet of a term's channels at one pixel, counted over all images; zeros behind the term's channels.
fn at_pixel(term: Term, pixel: u32, octet: u32) -> Octet {
    let place = (term.source + pixel * term.pitch + octet) * 2u;
    var low = arena[place];
    var high = arena[place + 1u];
    if (term.norm != NONE) {
        let norm = (term.norm + octet) * 6u;
        low = (low - norms[norm]) * norms[norm + 2u] + norms[norm + 4u];
        high = (high - norms[norm + 1u]) * norms[norm + 3u] + norms[norm + 5u];
    }
    let lanes = vec4<u32>(octet * 8u) + vec4<u32>(0u, 1u, 2u, 3u);
    low = select(vec4<f32>(0.0), low, lanes < vec4<u32>(term.channels));
    high = select(vec4<f32>(0.0), high, lanes + 4u < vec4<u32>(term.channels));
    finite = finite && are_finite(Octet(low, high));
    if ((term.flags & RELU) != 0u) {
        low = max(low, vec4<f32>(0.0));
        high = max(high, vec4<f32>(0.0));
    }
    return Octet(low, high);
}

// The same, averaged over the 3 x 3 pixels around (y, x), as many as there are: down first.
fn averaged(term: Term, image: u32, y: u32, x: u32, octet: u32) -> Octet {
    let height = low(term.size);
    let width = high(term.size);
    let top = max(y, 1u) - 1u;
    let left = max(x, 1u) - 1u;
    let bottom = min(y + 2u, height);
    let right = min(x + 2u, width);
    var sum = zeros();
    for (var column = left; column < right; column++) {
        var down = zeros();
        for (var row = top; row < bottom; row++) {
            down = add(down, at_pixel(term, (image * height + row) * width + column, octet));
        }
        sum = add(sum, down);
    }
    let count = f32((bottom - top) * (right - left));
    return Octet(sum.low / count, sum.high / count);
}

fn at(term: Term, image: u32, y: u32, x: u32, octet: u32) -> Octet {
    if ((term.flags & AVERAGE) != 0u) {
        return averaged(term, image, y, x, octet);
    }
    return at_pixel(term, (image * low(term.size) + y) * high(term.size) + x, octet);
}

// What a term adds to an octet of output channels.
fn contribution(term: Term, image: u32, y: u32, x: u32, octet: u32) -> Octet {
    // The term's channel in lane 0: below 0 where the term begins in a later lane.
    let first = i32(octet * 8u) - i32(term.to);
    if (first <= -8 || first >= i32(term.channels)) {
        return zeros();
    }
    let shift = u32(first & 7);
    let source = first >> 3u;
    var here = zeros();
    var next = zeros();
    if (source >= 0) {
        here = at(term, image, y, x, u32(source));
    }
    if (shift == 0u) {
        return here;
    }
    if ((source + 1) * 8 < i32(term.channels)) {
        next = at(term, image, y, x, u32(source + 1));
    }
    // Sixteen lanes, `shift` of them dropped in front.
    var a = here.low;
    var b = here.high;
    var c = next.low;
    var d = next.high;
    if ((shift & 4u) != 0u) {
        a = b;
        b = c;
        c = d;
    }
    if ((shift & 2u) != 0u) {
        a = vec4<f32>(a.zw, b.xy);
        b = vec4<f32>(b.zw, c.xy);
        c = vec4<f32>(c.zw, d.xy);
    }
    if ((shift & 1u) != 0u) {
        a = vec4<f32>(a.yzw, b.x);
        b = vec4<f32>(b.yzw, c.x);
    }
    return Octet(a, b);
}

// The sum of all terms.
fn sum_at(job: Combine, image: u32, y: u32, x: u32, octet: u32) -> Octet {
    var sum = zeros();
    for (var t = job.first_term; t < job.first_term + job.terms; t++) {
        sum = add(sum, contribution(terms[t], image, y, x, octet));
    }
    finite = finite && are_finite(sum);
    return sum;
}

// The maximum or the average of the sums in a window: down its columns first, then across.
fn pooled(job: Combine, image: u32, y: u32, x: u32, octet: u32) -> Octet {
    let down = y * low(job.stride) + low(job.window);
    let across = x * high(job.stride) + high(job.window);
    let top = max(down, low(job.window) + low(job.padding)) - low(job.window) - low(job.padding);
    let left = max(across, high(job.window) + high(job.padding)) - high(job.window) - high(job.padding);
    let bottom = min(down - low(job.padding), low(job.size));
    let right = min(across - high(job.padding), high(job.size));
    let is_max = low(job.pool) == MAX_POOL;
    var all = zeros();
    for (var column = left; column < right; column++) {
        var line = sum_at(job, image, top, column, octet);
        for (var row = top + 1u; row < bottom; row++) {
            let v = sum_at(job, image, row, column, octet);
            line = fold(line, v, is_max);
        }
        if (column == left) {
            all = line;
        } else {
            all = fold(all, line, is_max);
        }
    }
    if (!is_max) {
        let count = f32((bottom - top) * (right - left));
        all = Octet(all.low / count, all.high / count);
    }
    return all;
}

fn fold(a: Octet, b: Octet, is_max: bool) -> Octet {
    if (is_max) {
        return Octet(max(a.low, b.low), max(a.high, b.high));
    }
    return add(a, b);
}

fn signs(v: Octet) -> u32 {
    let low = select(vec4<u32>(0u), vec4<u32>(1u, 2u, 4u, 8u), v.low > vec4<f32>(0.0));
    let high = select(vec4<u32>(0u), vec4<u32>(16u, 32u, 64u, 128u), v.high > vec4<f32>(0.0));
    let both = low | high;
    return both.x | both.y | both.z | both.w;
}

// Stores the signs that all threads have for a region: the words from `first` on, up to `end`.
fn emit(region: u32, byte: u32, thread: u32, first: u32, end: u32) {
    bytes[thread] = byte;
    workgroupBarrier();
    let word = first + thread;
    if (thread < THREADS / 4u && word < end) {
        let at = 4u * thread;
        codes[region + word] = bytes[at] | bytes[at + 1u] << 8u | bytes[at + 2u] << 16u | bytes[at + 3u] << 24u;
    }
    workgroupBarrier();
}

@compute @workgroup_size(128)
fn combine(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile = tile_of(workgroup, workgroups);
    if (tile >= launch.tiles) {
        return;
    }
    let job = combines[launch.first + workgroup.y];
    let octets = (job.channels + 7u) / 8u;
    let pixels = launch.height * launch.width;
    let tiles = launch.tiles / launch.images;
    let image = tile / tiles;
    // Octets of this image, and those of the tile.
    let all = pixels * octets;
    let begin = (tile % tiles) * TILE_PIXELS * octets;
    let end = min(begin + TILE_PIXELS * octets, all);
    let words = (all + 3u) / 4u;
    let image_codes = job.codes + image * job.words_per_image;
    let has_window = low(job.pool) != NO_POOL;

    for (var chunk = begin; chunk < end; chunk += THREADS) {
        let place = chunk + thread;
        let inside = place < end;
        let pixel = place / octets;
        let octet = place - pixel * octets;
        let y = pixel / launch.width;
        let x = pixel - y * launch.width;
        var sum = zeros();
        if (!has_window || high(job.pool) == 1u) {
            // Terms of one region stand side by side.
            var region = NONE;
            var byte = 0u;
            for (var t = job.first_term; t < job.first_term + job.terms; t++) {
                let term = terms[t];
                if (term.code != region) {
                    if (region != NONE) {
                        emit(image_codes + region, byte, thread, chunk / 4u, words);
                    }
                    region = term.code;
                    byte = 0u;
                }
                if (inside) {
                    let v = contribution(term, image, y, x, octet);
                    sum = add(sum, v);
                    byte |= signs(v);
                }
            }
            if (region != NONE) {
                emit(image_codes + region, byte, thread, chunk / 4u, words);
            }
            finite = finite && are_finite(sum);
        }
        if (has_window && inside) {
            sum = pooled(job, image, y, x, octet);
        }
        if (job.output != NONE && inside) {
            let to = (job.output + image * all + place) * 2u;
            arena[to] = sum.low;
            arena[to + 1u] = sum.high;
        }
        if (job.code != NONE) {
            emit(image_codes + job.code, signs(sum), thread, chunk / 4u, words);
        }
    }
    if (!finite) {
        atomicMin(&statuses[low(job.status)], high(job.status));
    }
}
