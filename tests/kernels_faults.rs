//! A fault in a CUDA kernel is found: each barrier and each fence taken out in turn, and some accesses outside their
//! memory, make the shim's tests fail. A barrier whose loss nobody notices would be one too many.

mod common;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use common::harness::{Requirement, needs, run};
use common::shim::{Build, Shim, mutant};
use common::stages::is_sound;
use naswot::testing::cuda::{HEADERS, KERNELS, Kernel, KernelLaunch, Source, lockstep};
use naswot::testing::{Case, cases};
use naswot::{Stage, Weights};

/// Orders of blocks and threads that are tried for each fault.
const ORDERS: u32 = 3;

/// Source, what stands there, and what a slip would have written.
const SLIPS: [(&str, &str, &str, Build); 7] = [
    ("agreement.cu", "place < SIDE * WORDS;", "place <= SIDE * WORDS;", Build::Asan),
    ("combine.cu", "if (is_inside(turn, g)) a.arena[place", "a.arena[place", Build::Race),
    ("combine_any.cu", "if (job.output != NONE && inside)", "if (job.output != NONE)", Build::Race),
    ("conv_8.cu", "if (pair >= out.pairs) continue;", "", Build::Race),
    ("conv_any.cu", "if (pixel + 32 * p < pixels) to", "to", Build::Race),
    ("swap.cu", "min(first + TILE, job.words)", "first + TILE", Build::Race),
    ("swap.cu", "if (word < size)", "", Build::Race),
];

/// Cases, by their names, that put a source's kernels to work.
fn names(kernel: &Kernel) -> &'static [&'static str] {
    match kernel.stage() {
        _ if kernel.source.file == "combine.cu" => &[
            "packed concat of squares of 8",
            "windows over squares of 32",
            "windows over squares of 16",
            "of stored sums of squares",
        ],
        _ if kernel.source.file == "conv_8.cu" => {
            &["square of 8", "square, stride 2 to 8", "square, wider than its tile"]
        }
        Stage::Agreement => &["33 images", "jobs of 4096 words and more"],
        Stage::Cholesky => &["32 images", "70 images", "300 images"],
        Stage::Swap => &["patterns of 9 images", "patterns of 17 images"],
        Stage::Combine => {
            &["packed concat with a projection over it", "more pixels than a tile", "of stored sums"]
        }
        _ => &["one image", "odd channels", "merged projections", "blocks of two tiles"],
    }
}

fn main() -> ExitCode {
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let mut trials = Vec::new();
    let mut add = |name: String, kernel: &'static Kernel, text: String, build: Build| {
        let id = format!("mutant-{}", trials.len());
        trials.push(needs(Requirement::Shim, &name, move |_| {
            let program = mutant(build, &id, kernel.source.file, &text)?;
            is_found(&program, kernel, seed)
        }));
    };
    // A kernel of each source, and its text. Sources of convolutions on tensor cores are one text but for the width.
    let mut sources: Vec<(&Kernel, String)> = Vec::new();
    for kernel in KERNELS.iter().filter(|kernel| !["conv_32", "conv_16"].contains(&kernel.name)) {
        if sources.iter().all(|(other, _)| other.source.file != kernel.source.file) {
            sources.push((kernel, with_headers(kernel.source.text)));
        }
    }
    for (kernel, text) in &sources {
        let source = kernel.source.file;
        for statement in ["__syncthreads();", "__syncwarp();", "fence_acquire();"] {
            for (place, _) in text.match_indices(statement) {
                let line = 1 + text[..place].matches('\n').count();
                let without = [&text[..place], ";", &text[place + statement.len()..]].concat();
                add(format!("{source}, line {line}, without {statement}"), kernel, without, Build::Race);
            }
        }
    }
    for (source, before, after, build) in SLIPS {
        let (kernel, text) = sources.iter().find(|(kernel, _)| kernel.source.file == source).unwrap();
        assert!(text.contains(before), "{source} has no {before}");
        add(format!("{source}: {after}, not {before}"), kernel, text.replace(before, after), build);
    }
    for (name, before, after, builds) in SHARED_FAULTS {
        assert!(SHARED.contains(before));
        for build in *builds {
            let name = format!("dynamic shared memory, {}: {name}", build.name());
            let id = format!("shared-{}", trials.len());
            let is_sound = before == after;
            trials.push(needs(Requirement::Shim, &name, move |_| {
                let program = mutant(*build, &id, "shared.cu", &SHARED.replace(before, after))?;
                match reverse(&program, seed as u32) {
                    Ok(()) if !is_sound => Err("nobody noticed it".into()),
                    Err(error) if is_sound => Err(error),
                    _ => Ok(()),
                }
            }));
        }
    }
    run(trials)
}

/// Words of shared memory that no kernel can have but dynamically: 96 KB.
const WORDS: u32 = 24_000;

/// A kernel that turns words around in dynamic shared memory.
const SHARED: &str = r#"
#include "common.cuh"
struct Reverse { u32 *words; u64 count; };
extern "C" __global__ void __launch_bounds__(256) reverse(const Reverse a) {
    DYNAMIC_SHARED(u32, all);
    for (u32 i = threadIdx.x; i < a.count; i += 256) all[i] = a.words[i];
    __syncthreads();
    for (u32 i = threadIdx.x; i < a.count; i += 256) a.words[i] = all[a.count - 1 - i];
}
"#;

/// What a slip would have written for what stands there, and who finds it; none in the first.
const SHARED_FAULTS: &[(&str, &str, &str, &[Build])] = &[
    ("sound", "", "", &Build::ALL),
    ("no barrier", "__syncthreads();", "", &[Build::Race]),
    ("a word too many", "all[i] = a", "all[i + 1] = a", &[Build::Asan, Build::Race]),
    ("a word that is not written", "all[a.count", "all[a.count / 2 + a.count", &[Build::Asan, Build::Race]),
];

/// Runs that kernel.
fn reverse(program: &Path, seed: u32) -> Result<(), Box<dyn Error>> {
    let device = Shim::start(program, seed)?;
    let text = |fault| format!("{fault:?}");
    let words: Vec<u32> = (0..WORDS).collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let address = device.allocate(bytes.len() as u64).map_err(text)?;
    device.write(0, address, &bytes).map_err(text)?;
    let argument = [address, u64::from(WORDS)].map(u64::to_le_bytes).concat();
    let launch = KernelLaunch {
        kernel: "reverse",
        grid: [1, 1, 1],
        threads: 256,
        shared: bytes.len() as u32,
        argument: &argument,
    };
    device.launch(0, &launch).map_err(text)?;
    let mut back = vec![0; bytes.len()];
    device.read(0, address, &mut back).map_err(text)?;
    let back: Vec<u32> =
        back.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
    assert!(back.iter().eq(words.iter().rev()));
    Ok(())
}

/// A source in which the headers that have barriers of their own stand in full, to be changed too.
fn with_headers(text: &str) -> String {
    let has_barriers = |header: &&Source| {
        ["__syncthreads", "__syncwarp"].iter().any(|barrier| header.text.contains(barrier))
    };
    let mut text = text.to_owned();
    // Headers include others.
    for header in [HEADERS, HEADERS].concat().iter().filter(has_barriers) {
        let include = format!("#include \"{}\"", header.file);
        text = text.replace(&include, &header.text.replace("#pragma once", ""));
    }
    text
}

/// Whether some order of blocks and threads shows that something is wrong.
fn is_found(program: &Path, kernel: &Kernel, seed: u64) -> Result<(), Box<dyn Error>> {
    let names = names(kernel);
    let cases: Vec<Case> = cases(seed)?.into_iter().filter(|case| names.contains(&&*case.name)).collect();
    assert_eq!(cases.len(), names.len());
    for order in 0..ORDERS {
        for case in &cases {
            let device = Shim::start_as(kernel.from, program, seed as u32 + order)?;
            let (batch, networks) = (case.batch(seed)?, [case.network.clone()]);
            let weights = Weights::Seeded { seed };
            match lockstep(device, &networks, &batch, &weights, case.convention) {
                Ok(deviations) if is_sound(&deviations) => {}
                Ok(_) => return Ok(()),
                Err(error) => {
                    println!("{error}");
                    return Ok(());
                }
            }
        }
    }
    Err(format!("nobody noticed it, seed {seed}").into())
}
