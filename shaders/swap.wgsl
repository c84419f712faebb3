// Distinct activation patterns from packed codes: SWAP.
//
//     swap = |{ (code_1[u], .., code_M[u]) : u a unit }|
//
// A pattern is a column of the code matrix, as a number of M bits, image i at bit i; a map of 2^M bits has a bit for each.
// `clear_patterns` empties the map and the counts of a network; a job of `swap` is a section of its codes, a tile some
// words of it, a thread a column of them at a time. With up to 16 images a workgroup marks patterns in a map in its own
// memory first, which it then merges into the network's. Marks are made by OR, and whoever makes one that was not there
// counts it, so the order does not matter. Padding looks like a unit that no image activates: such columns are left out,
// and the others counted, so that the host knows whether a real unit is among those left out.

@group(0) @binding(0) var<uniform> launch: Launch;
@group(0) @binding(1) var<storage, read> swaps: array<Swap>;
@group(0) @binding(2) var<storage, read> codes: array<u32>;
@group(0) @binding(3) var<storage, read_write> maps: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> patterns: array<atomic<u32>>;

const THREADS: u32 = 256u;
// Code words of a tile.
const TILE: u32 = 2048u;
// Images whose map has room in workgroup memory; it has 2048 words.
const SHARED_IMAGES: u32 = 16u;

var<workgroup> shared_map: array<atomic<u32>, 2048>;
var<workgroup> counts: array<atomic<u32>, 2>;

// Words of a map of the patterns of so many images.
fn map_words(images: u32) -> u32 {
    return max(1u << images, 32u) / 32u;
}

@compute @workgroup_size(256)
fn clear_patterns(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = launch.first + workgroup.y;
    let job = swaps[index];
    // The first of a network's sections, which stand side by side, clears for all.
    if (index > 0u && swaps[index - 1u].network == job.network) {
        return;
    }
    let word = tile_of(workgroup, workgroups) * THREADS + thread;
    let size = map_words(job.images);
    if (word < size) {
        atomicStore(&maps[job.network * size + word], 0u);
    }
    if (word < 2u) {
        atomicStore(&patterns[2u * job.network + word], 0u);
    }
}

@compute @workgroup_size(256)
fn swap(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let job = swaps[launch.first + workgroup.y];
    let first = tile_of(workgroup, workgroups) * TILE;
    let last = min(first + TILE, job.words);
    // The grid is that of the section with the most words.
    if (first >= last) {
        return;
    }
    let size = map_words(job.images);
    let map = job.network * size;
    let is_small = job.images <= SHARED_IMAGES;
    for (var word = thread; word < 2048u; word += THREADS) {
        atomicStore(&shared_map[word], 0u);
    }
    if (thread < 2u) {
        atomicStore(&counts[thread], 0u);
    }
    workgroupBarrier();
    var marked = 0u;
    var active_units = 0u;
    let bit = thread % 32u;
    for (var word = first + thread / 32u; word < last; word += THREADS / 32u) {
        let at = job.codes + word;
        var pattern = 0u;
        for (var image = 0u; image < job.images; image++) {
            pattern |= ((codes[at + image * job.words_per_image] >> bit) & 1u) << image;
        }
        if (pattern == 0u) {
            continue;
        }
        active_units++;
        let mark = 1u << (pattern % 32u);
        if (is_small) {
            atomicOr(&shared_map[pattern / 32u], mark);
        } else if ((atomicOr(&maps[map + pattern / 32u], mark) & mark) == 0u) {
            marked++;
        }
    }
    workgroupBarrier();
    if (is_small) {
        for (var word = thread; word < size; word += THREADS) {
            let marks = atomicLoad(&shared_map[word]);
            if (marks != 0u) {
                marked += countOneBits(marks & ~atomicOr(&maps[map + word], marks));
            }
        }
    }
    atomicAdd(&counts[0], marked);
    atomicAdd(&counts[1], active_units);
    workgroupBarrier();
    if (thread < 2u) {
        atomicAdd(&patterns[2u * job.network + thread], atomicLoad(&counts[thread]));
    }
}
