// Batch norms from statistics: (scale, shift) of each channel, which readers apply as y * scale + shift.
//
//     mean = sum(y) / n        var = M2 / n
//     scale = gamma / sqrt(var + eps / s^2)        shift = beta - mean * scale
//
// where s is what was left out of y. A unit's four scales stand before its four shifts, and so do sums before M2.
// Blocks of pixels are merged in order by the formula of Chan, Golub and LeVeque (1979), so nothing cancels. Two
// entries: `batch_norm` merges what convolutions have left, a thread a channel; `stored_batch_norm` makes the statistics
// of a stored sum itself, a thread a block of one channel, and merges them at once.

@group(0) @binding(0) var<uniform> launch: Launch;
@group(0) @binding(1) var<storage, read> norm_jobs: array<Norm>;
@group(0) @binding(2) var<storage, read> weight_pool: array<f32>;
@group(0) @binding(3) var<storage, read_write> norms: array<f32>;
@group(0) @binding(4) var<storage, read_write> statuses: array<atomic<u32>>;
// Of `batch_norm`.
@group(0) @binding(5) var<storage, read> partials: array<f32>;
// Of `stored_batch_norm`.
@group(0) @binding(6) var<storage, read> combines: array<Combine>;
@group(0) @binding(7) var<storage, read> arena: array<f32>;

// Moments of one channel: pixels so far, their mean and M2.
struct ChannelMoments {
    seen: u32,
    mean: f32,
    m2: f32,
}

// Merges the next block's sum and M2.
fn merge_block(all: ChannelMoments, sum: f32, m2: f32) -> ChannelMoments {
    let pixels = launch.images * launch.height * launch.width;
    let count = min(launch.block, pixels - all.seen);
    let share = f32(count) / f32(all.seen + count);
    let delta = sum / f32(count) - all.mean;
    return ChannelMoments(
        all.seen + count,
        all.mean + delta * share,
        all.m2 + m2 + delta * delta * share * f32(all.seen),
    );
}

// Stores the batch norm of a channel, and reports a number that is not finite. Pads of the last octet are zeros: readers
// load whole units.
fn store_batch_norm(job: Norm, channel: u32, all: ChannelMoments) {
    let place = (job.norm + channel / 4u) * 8u + channel % 4u;
    if (channel >= job.channels) {
        norms[place] = 0.0;
        norms[place + 4u] = 0.0;
        return;
    }
    var gamma = 1.0;
    var beta = 0.0;
    if (job.affine != NONE) {
        let affine = (job.affine + 2u * (channel / 8u)) * 8u + channel % 8u;
        gamma = weight_pool[affine];
        beta = weight_pool[affine + 8u];
    }
    let scale = gamma / sqrt(all.m2 / f32(all.seen) + job.eps);
    let shift = fma(-all.mean, scale, beta);
    if (!is_finite(all.mean) || !is_finite(all.m2) || !is_finite(scale)) {
        atomicMin(&statuses[low(job.status)], high(job.status));
    }
    norms[place] = scale;
    norms[place + 4u] = shift;
}

// Channels with the pads of the last octet.
fn padded(channels: u32) -> u32 {
    return (channels + 7u) / 8u * 8u;
}

@compute @workgroup_size(64)
fn batch_norm(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let job = norm_jobs[launch.first + workgroup.y];
    for (var channel = thread; channel < padded(job.channels); channel += 64u) {
        var all = ChannelMoments(0u, 0.0, 0.0);
        for (var block = 0u; block < launch.blocks; block++) {
            let place = (job.partials + block * job.pitch + channel / 4u) * 8u + channel % 4u;
            all = merge_block(all, partials[place], partials[place + 4u]);
        }
        store_batch_norm(job, channel, all);
    }
}

// Pixels of a subtotal, which is added to the block's sum at once: that keeps rounding small.
const SUBTOTAL: u32 = 16u;

var<workgroup> sums: array<f32, 1024>;
var<workgroup> squares: array<f32, 1024>;

// The sum over a block of v, or of (v - mean)^2, for one channel.
fn block_sum(place: u32, count: u32, mean: f32, squared: bool) -> f32 {
    var total = 0.0;
    for (var first = 0u; first < count; first += SUBTOTAL) {
        var sum = 0.0;
        for (var pixel = first; pixel < min(first + SUBTOTAL, count); pixel++) {
            let v = arena[place + 4u * pixel] - mean;
            sum += select(v, v * v, squared);
        }
        total += sum;
    }
    return total;
}

@compute @workgroup_size(256)
fn stored_batch_norm(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let octet = tile_of(workgroup, workgroups);
    let combine = combines[launch.first + workgroup.y];
    let lane = thread % 8u;
    let channel = octet * 8u + lane;
    let pixels = launch.images * launch.height * launch.width;
    // Where there is no channel there may be no unit.
    if (channel < combine.channels) {
        let stored = (combine.output + channel / 4u * plane(launch.height * launch.width)) * 4u + channel % 4u;
        for (var block = thread / 8u; block < launch.blocks; block += 32u) {
            let first = block * launch.block;
            let count = min(launch.block, pixels - first);
            let sum = block_sum(stored + 4u * first, count, 0.0, false);
            sums[block * 8u + lane] = sum;
            squares[block * 8u + lane] = block_sum(stored + 4u * first, count, sum / f32(count), true);
        }
    }
    workgroupBarrier();
    if (thread < 8u) {
        var all = ChannelMoments(0u, 0.0, 0.0);
        for (var block = 0u; block < launch.blocks; block++) {
            all = merge_block(all, sums[block * 8u + lane], squares[block * 8u + lane]);
        }
        // Several batch norms may read one sum.
        for (var norm = combine.first_norm; norm < combine.first_norm + combine.norms; norm++) {
            let job = norm_jobs[norm];
            // A channel before those of the batch norm wraps to a large number.
            let its_channel = channel - (job.partials - combine.partials) * 4u;
            if (its_channel < padded(job.channels)) {
                store_batch_norm(job, its_channel, all);
            }
        }
    }
}
