// Agreement matrix from packed codes.
//
//     K_ij = N_A - sum over sections of weight * popcount(code_i ^ code_j)
//
// `start` sets K to N_A; each job of `agreement` takes its words off, by integer atomics, so the order does not matter.
// A tile is 32 x 32 pairs of images, a thread four of them; only tiles on and above the diagonal are visited, and a pair is
// taken off both K_ij and K_ji. Codes pass through workgroup memory 32 words at a time.

@group(0) @binding(0) var<uniform> launch: Launch;
@group(0) @binding(1) var<storage, read> agreements: array<Agreement>;
@group(0) @binding(2) var<storage, read> codes: array<u32>;
@group(0) @binding(3) var<storage, read_write> agreement_matrices: array<atomic<u32>>;
// Of `start`.
@group(0) @binding(4) var<storage, read> choleskys: array<Cholesky>;
@group(0) @binding(5) var<storage, read_write> statuses: array<u32>;

const SIDE: u32 = 32u;
const HALF: u32 = 16u;
const WORDS: u32 = 32u;
// Words from one image to the next: odd, so that a column of images lies in different banks.
const PITCH: u32 = 33u;

var<workgroup> left: array<u32, 1056>;
var<workgroup> right: array<u32, 1056>;

@compute @workgroup_size(256)
fn start(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let job = choleskys[launch.first + workgroup.y];
    let n = launch.images;
    let entry = tile_of(workgroup, workgroups) * 256u + thread;
    if (entry < n * n) {
        atomicStore(&agreement_matrices[job.network * n * n + entry], job.activations);
    }
    if (entry == 0u) {
        statuses[job.network] = NONE;
    }
}

@compute @workgroup_size(256)
fn agreement(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tile = tile_of(workgroup, workgroups);
    if (tile >= launch.tiles) {
        return;
    }
    let job = agreements[launch.first + workgroup.y];
    // The tile's place in the upper triangle, row by row.
    var row = 0u;
    var column = tile;
    var row_tiles = (launch.images + SIDE - 1u) / SIDE;
    while (column >= row_tiles) {
        column -= row_tiles;
        row_tiles -= 1u;
        row += 1u;
    }
    let rows = row * SIDE;
    let columns = (row + column) * SIDE;
    let i = thread / HALF;
    let j = thread % HALF;
    var hamming = vec4<u32>();
    for (var first = 0u; first < job.words; first += WORDS) {
        for (var place = thread; place < SIDE * WORDS; place += 256u) {
            let image = place / WORDS;
            let word = place % WORDS;
            let inside = first + word < job.words;
            let at = job.codes + first + word;
            var a = 0u;
            var b = 0u;
            if (inside && rows + image < launch.images) {
                a = codes[at + (rows + image) * job.words_per_image];
            }
            if (inside && columns + image < launch.images) {
                b = codes[at + (columns + image) * job.words_per_image];
            }
            left[image * PITCH + word] = a;
            right[image * PITCH + word] = b;
        }
        workgroupBarrier();
        for (var word = 0u; word < WORDS; word++) {
            let l = vec2(left[i * PITCH + word], left[(i + HALF) * PITCH + word]);
            let r = vec2(right[j * PITCH + word], right[(j + HALF) * PITCH + word]);
            hamming += countOneBits(l.xxyy ^ r.xyxy);
        }
        workgroupBarrier();
    }
    let n = launch.images;
    let k = job.network * n * n;
    for (var e = 0u; e < 4u; e++) {
        let a = rows + i + HALF * (e / 2u);
        let b = columns + j + HALF * (e % 2u);
        if (a < b && b < n) {
            let taken = job.weight * hamming[e];
            atomicSub(&agreement_matrices[k + a * n + b], taken);
            atomicSub(&agreement_matrices[k + b * n + a], taken);
        }
    }
}
