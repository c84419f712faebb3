// Rows of the weight pool from the seed and the parameter's name.
//
//     element e = table[16-bit lane e % 8 of Philox4x32-10(key, counter (e / 8, name, domain 0))]
//
// Integer arithmetic and a look-up, so every backend makes the same bits. Tables hold bf16 numbers, two in a word, the
// normal distribution first. A thread makes blocks of eight elements, an octet each.

@group(0) @binding(0) var<uniform> launch: Launch;
@group(0) @binding(1) var<storage, read> weights_jobs: array<Weights>;
@group(0) @binding(2) var<storage, read> quantiles: array<u32>;
@group(0) @binding(3) var<storage, read_write> weight_pool: array<vec4<f32>>;

const THREADS: u32 = 256u;
const TABLE_WORDS: u32 = 32768u;

// High and low word of a product.
fn multiply(a: u32, b: u32) -> vec2<u32> {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let middle = ah * bl + ((al * bl) >> 16u);
    let carried = (middle & 0xffffu) + al * bh;
    return vec2<u32>(ah * bh + (middle >> 16u) + (carried >> 16u), a * b);
}

fn philox(first: vec4<u32>, first_key: vec2<u32>) -> vec4<u32> {
    var counter = first;
    var key = first_key;
    for (var round = 0u; round < 10u; round++) {
        if (round > 0u) {
            key += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
        }
        let p0 = multiply(0xD2511F53u, counter.x);
        let p1 = multiply(0xCD9E8D57u, counter.z);
        counter = vec4<u32>(p1.x ^ counter.y ^ key.x, p1.y, p0.x ^ counter.w ^ key.y, p0.y);
    }
    return counter;
}

fn entry(table: u32, lane: u32) -> f32 {
    let word = quantiles[table * TABLE_WORDS + (lane >> 1u)];
    return bitcast<f32>((word >> (16u * (lane & 1u))) << 16u);
}

// Two elements, the low lane first.
fn pair_of(table: u32, word: u32) -> vec2<f32> {
    return vec2<f32>(entry(table, word & 0xffffu), entry(table, word >> 16u));
}

@compute @workgroup_size(256)
fn weights(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let job = weights_jobs[launch.first + workgroup.y];
    for (var block = thread; block < job.blocks; block += THREADS) {
        let words = philox(vec4<u32>(job.first + block, job.name, 0u), job.key);
        let place = (job.place + block) * 2u;
        weight_pool[place] = vec4<f32>(pair_of(job.table, words.x), pair_of(job.table, words.y));
        weight_pool[place + 1u] = vec4<f32>(pair_of(job.table, words.z), pair_of(job.table, words.w));
    }
}
