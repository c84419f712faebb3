// Declarations of all shaders: the records of src/backend/group/records.rs, which tells their fields and units, and planes.
//
// Binding 0 of every shader is what the jobs of its launch share. Other variables are memory of the device under its
// name in src/backend/group/memory.rs; build.rs reads the bindings. A workgroup takes one tile of one job; more tiles than
// a grid is wide are folded into its third dimension.

const NONE: u32 = 0xffffffffu;

struct Launch {
    first: u32,
    jobs: u32,
    images: u32,
    height: u32,
    width: u32,
    block: u32,
    blocks: u32,
    tiles: u32,
    slices: u32,
    units: u32,
    planes: u32,
    unused: u32,
}

struct Weights {
    key: vec2<u32>,
    name: vec2<u32>,
    first: u32,
    blocks: u32,
    table: u32,
    place: u32,
    in_octets: u32,
    taps: u32,
    unused: array<u32, 6>,
}

struct Term {
    source: u32,
    size: u32,
    to: u32,
    channels: u32,
    norm: u32,
    flags: u32,
    code: u32,
    unused: u32,
}

const RELU: u32 = 1u;

struct Conv {
    input: u32,
    output: u32,
    size: u32,
    kernel: u32,
    stride: u32,
    padding: u32,
    dilation: u32,
    units: u32,
    rows: u32,
    alpha: f32,
    partials: u32,
    first_norm: u32,
    norms: u32,
    relu: u32,
    tile: u32,
    network: u32,
}

struct Combine {
    first_term: u32,
    terms: u32,
    output: u32,
    channels: u32,
    size: u32,
    pool: u32,
    window: u32,
    stride: u32,
    padding: u32,
    codes: u32,
    words_per_image: u32,
    code: u32,
    partials: u32,
    first_norm: u32,
    norms: u32,
    status: u32,
}

const NO_POOL: u32 = 0u;
const MAX_POOL: u32 = 1u;
const AVERAGE_POOL: u32 = 2u;
// Beside the pool: numbers that are not finite are to be reported, since no batch norm would.
const CHECKS: u32 = 1u;

struct Norm {
    partials: u32,
    pitch: u32,
    channels: u32,
    norm: u32,
    eps: f32,
    affine: u32,
    status: u32,
    unused: array<u32, 9>,
}

struct Agreement {
    codes: u32,
    words_per_image: u32,
    words: u32,
    weight: u32,
    network: u32,
    unused: array<u32, 11>,
}

struct Cholesky {
    network: u32,
    activations: u32,
    scratch: u32,
    unused: array<u32, 13>,
}

struct Swap {
    codes: u32,
    words_per_image: u32,
    words: u32,
    images: u32,
    network: u32,
    unused: array<u32, 11>,
}

// Two sizes that share a word.
fn low(pair: u32) -> u32 {
    return pair & 0xffffu;
}

fn high(pair: u32) -> u32 {
    return pair >> 16u;
}

fn tile_of(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    return workgroup.x + workgroup.z * workgroups.x;
}

// Units, of four neighboring channels each, that hold so many channels.
fn units(channels: u32) -> u32 {
    return (channels + 3u) / 4u;
}

fn area(size: u32) -> u32 {
    return low(size) * high(size);
}

// Units from one plane of a tensor to the next: as many as all images have pixels, made even.
fn plane(image_pixels: u32) -> u32 {
    let pixels = launch.images * image_pixels;
    return pixels + pixels % 2u;
}

// Looks at the exponent's bits: of floating-point comparisons a compiler may assume that they are of finite numbers.
fn is_finite(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

fn are_finite(v: vec4<f32>) -> bool {
    let mask = vec4<u32>(0x7f800000u);
    return all((bitcast<vec4<u32>>(v) & mask) != mask);
}
