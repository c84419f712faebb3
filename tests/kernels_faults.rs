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
use naswot::Weights;
use naswot::testing::cuda::{HEADERS, SOURCES, lockstep};
use naswot::testing::{Case, cases};

/// Orders of blocks and threads that are tried for each fault.
const ORDERS: u32 = 3;

/// Source, what stands there, and what a slip would have written.
const SLIPS: [(&str, &str, &str, Build); 5] = [
    ("agreement.cu", "place < SIDE * WORDS;", "place <= SIDE * WORDS;", Build::Asan),
    ("combine.cu", "min(run + RUN, count)", "(run + RUN)", Build::Race),
    ("combine.cu", "threadIdx.x % 4 == 0 && place < octets", "threadIdx.x % 4 == 0", Build::Race),
    ("conv.cu", "if (p < at.count) store", "store", Build::Race),
    ("conv.cu", "if (quad >= 2 * low(job.out_octets)) return;", "", Build::Race),
];

/// Cases, by their names, that put a source's kernels to work.
fn names(source: &str) -> &'static [&'static str] {
    match source {
        "agreement.cu" => &["33 images", "jobs of 4096 words and more"],
        "cholesky.cu" => &["70 images"],
        "combine.cu" => {
            &["packed concat with a projection over it", "more pixels than a tile", "of stored sums"]
        }
        _ => &["one image", "odd channels", "merged projections", "blocks of two tiles"],
    }
}

fn main() -> ExitCode {
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let mut trials = Vec::new();
    let mut add = |name: String, source: &'static str, text: String, build: Build| {
        let id = format!("mutant-{}", trials.len());
        trials.push(needs(Requirement::Shim, &name, move |_| {
            let program = mutant(build, &id, source, &text)?;
            is_found(&program, source, seed)
        }));
    };
    let sources = SOURCES.map(|(name, text)| (name, with_batch_norm(text)));
    for (source, text) in &sources {
        for statement in ["__syncthreads();", "__threadfence();"] {
            for (place, _) in text.match_indices(statement) {
                let line = 1 + text[..place].matches('\n').count();
                let without = [&text[..place], ";", &text[place + statement.len()..]].concat();
                add(format!("{source}, line {line}, without {statement}"), source, without, Build::Race);
            }
        }
    }
    for (source, before, after, build) in SLIPS {
        let (_, text) = sources.iter().find(|(name, _)| *name == source).unwrap();
        assert!(text.contains(before), "{source} has no {before}");
        add(format!("{source}: {after}, not {before}"), source, text.replace(before, after), build);
    }
    run(trials)
}

/// A source in which the headers that have barriers of their own stand in full, to be changed too.
fn with_batch_norm(text: &str) -> String {
    let header = |text: String, wanted: &str| {
        let (name, header) = HEADERS.into_iter().find(|(name, _)| *name == wanted).unwrap();
        text.replace(&format!("#include \"{name}\""), &header.replace("#pragma once", ""))
    };
    header(header(text.to_owned(), "stored_batch_norm.cuh"), "batch_norm.cuh")
}

/// Whether some order of blocks and threads shows that something is wrong.
fn is_found(program: &Path, source: &str, seed: u64) -> Result<(), Box<dyn Error>> {
    let cases: Vec<Case> =
        cases(seed)?.into_iter().filter(|case| names(source).contains(&&*case.name)).collect();
    assert_eq!(cases.len(), names(source).len());
    for order in 0..ORDERS {
        for case in &cases {
            let device = Shim::start(program, seed as u32 + order)?;
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
