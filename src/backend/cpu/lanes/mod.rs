//! The fast f32 path of the CPU: images in the lanes of vectors.
//!
//! A tensor is [block][h][w][channel][images of the block]: a block is two vectors of images, or one where that fills a
//! cache line (AVX-512) or holds the whole batch; a *unit* is one channel of one pixel for all of them. So an odd number of channels needs no
//! padding, concat and truncation are offsets, taps outside the image are left out, and every load is a whole vector.
//! Lanes of the last block that hold no image compute along, and never reach statistics or K.
//!
//! It reads the same plans as the twins (`cpu/*.rs`), which are its oracle, and emits the same code words. The
//! arithmetic of a job depends on its plan and on the instruction set, never on threads or groups.
//!
//! - `program`: the order of the jobs, as instructions, and `layout`: the places of tensors. Instructions up to the next
//!   batch norm run block by block (`forward`, `instruction`, `blocks`). A sum that only one convolution reads is not
//!   stored: `conv/feed` makes it row by row while that convolution runs.
//! - `conv`: convolutions, in two forms (`conv/direct`, `conv/winograd`), and their weights.
//! - `combine`: normalize, ReLU, add and compare with zero, a row at a time; `pool`: rows of a pool; `statistics`: mean
//!   and variance.
//! - `gram`: scatter matrices of channels; `spectrum`: their eigenvalues.
//! - `codes`: bits of all images, transposed into code words.
//! - `units`: memory on cache lines and huge pages.
//! - `peak`: what the processor can do at best, which `naswot bench` compares with.
//! - `simd`: instruction sets behind one trait. All unsafe code of this path is there, but for a call of `madvise`.
//!
//! NAS-Bench-101, stem 16, N = 32, whole process, two cores of a Zen 3 (AVX2), networks a second, measured in turn:
//!
//! | version | networks/s |
//! |---|---|
//! | direct and Winograd, every sum stored | 101 |
//! | sums row by row into the one convolution that reads them, prefetch, taps from a table | 106 |
//! | Winograd's pieces at constant distances, two rows of a transform in registers | 112 |
//! | parts of raw tensors side by side, bits added before they are counted | 113 |
//! | everything on cache lines | 120 |
//! | no choice of taps where there is but one | 103.8 for 98.7, on a slower day |
//! | huge pages for tensors, bits and code words | 123 for 120; N = 128: 24.8 for 23.0 |
//! | jobs up to the next batch norm block by block | 93.5 for 89.8, on a day slower still |
//!
//! The same on two cores of a Zen 4, by instruction set, and with N = 128:
//!
//! | version | AVX-512 | AVX2 | AVX-512, N = 128 |
//! |---|---|---|---|
//! | the last of the above: with AVX-512 two vectors a block as well | 134 | 137 | 30.2 |
//! | AVX-512: one vector a block, tiles of 16 channels, code words by mask instructions | 157 | 137 | 32.0 |
//! | prefetch 8 KiB ahead, not 4, and into the second cache alone | 152 for 145 | 133 for 130 | 35.4 for 32.6 |
//!
//! Not kept: link-time optimization, stores past the cache, signs by assembly, other tiles of the agreement, three rows
//! of Winograd's transforms in 32 registers, AVX-512 with vectors of 256 bits, sums of some pixels at a time into a 1x1
//! convolution (no gain); columns of a pool in registers or in the first cache (a seventh of a pool's time, lost in the
//! noise); more pixels at a time for 1x1 and for sums (spills); several of Winograd's pieces for each pass over many
//! weights (3 % slower at stem 128); one network after the other over all cores (6 % slower at N = 32, 5 % at N = 256,
//! even at N = 128); what all networks begin with computed once and kept (1 % at best, and slower under load: what is kept
//! comes from memory, what is computed anew is in the cache). At stem 128 and N = 8, blocks of one vector and weights
//! kept by age made 12.1 of 4.9 networks a second; there a batch of 8 takes AVX2 where AVX-512 would leave half of each
//! vector empty (half as many again).
//!
//! Where the time goes at N = 32 (Zen 4, AVX-512; the FMA peak of a core is 58 GMAC/s with either instruction set):
//! direct convolution 27 % (1x1 at 73 to 87 % of the peak, with statistics), Winograd 25 % (its products, half of it, at
//! the peak; 3x3 as a whole at 55 to 78 %), sums and normalization 17 %, pools 7 %, statistics 4 %, code words and
//! agreement 2 % each. Sums read 59 MB a network, 28 GB/s a core, which come from the third cache (95 GB/s): with what
//! they read in the first one they would take two thirds of their time. At N = 128 arenas outgrow the third cache: sums
//! take 25 % and read 17 GB/s a core, as much as memory gives two cores at once (15 to 17). At stem 128 and N = 8 1x1
//! runs at 89 % of the peak and takes 40 %, Winograd 37 % (its products at 70 %: a broadcast for each multiplication, and
//! weights from the third cache), making new weights 6 %.

mod blocks;
mod codes;
mod combine;
mod conv;
mod forward;
mod gram;
mod instruction;
mod layout;
pub(super) mod peak;
mod pool;
mod program;
pub(super) mod simd;
mod spectrum;
mod statistics;
mod units;
mod workspace;

pub(super) use forward::Lanes;
