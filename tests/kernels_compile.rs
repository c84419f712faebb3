//! The CUDA kernels compile for each architecture that they are meant for, spill nothing, and take no more registers than
//! the blocks that shall run at once leave them. No GPU is needed: NVRTC compiles, `nvdisasm` shows the instructions.

mod common;

use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};

use common::harness::{Requirement, needs, run};
use common::wheels;
use naswot::testing::cuda::{ComputeCapability, KERNELS, Kernel, compile};

/// Turing, Ampere, Ada, Hopper, Blackwell.
const CAPABILITIES: [ComputeCapability; 7] = [
    ComputeCapability { major: 7, minor: 5 },
    ComputeCapability { major: 8, minor: 0 },
    ComputeCapability { major: 8, minor: 6 },
    ComputeCapability { major: 8, minor: 9 },
    ComputeCapability { major: 9, minor: 0 },
    ComputeCapability { major: 10, minor: 0 },
    ComputeCapability { major: 12, minor: 0 },
];

/// Registers of a multiprocessor.
const REGISTERS: u32 = 65_536;

/// Threads that a multiprocessor has at once, by the table of compute capabilities in NVIDIA's programming guide.
fn most_threads(ComputeCapability { major, minor }: ComputeCapability) -> u32 {
    match (major, minor) {
        (7, 5) => 1024,
        (8, 6 | 7 | 9) | (12, _) => 1536,
        _ => 2048,
    }
}

fn main() -> ExitCode {
    // Whatever a kernel is from, some architecture takes it.
    let mut capabilities = ComputeCapability::all();
    capabilities.retain(|capability| *capability != ComputeCapability::OLDEST);
    capabilities.extend(CAPABILITIES);
    capabilities.sort_unstable();
    capabilities.dedup();
    let trial = |capability: ComputeCapability| {
        let name = format!("all kernels for {}", capability.architecture());
        needs(Requirement::Nvrtc, &name, move |_| kernels(capability))
    };
    run(capabilities.into_iter().map(trial).collect())
}

fn kernels(capability: ComputeCapability) -> Result<(), Box<dyn Error>> {
    let compiled = compile(Some(&wheels::nvrtc()?), capability)?;
    assert_eq!(compiled.len(), capability.sources().len());
    let folder = tempfile::tempdir()?;
    for source in &compiled {
        let file = folder.path().join(source.source);
        fs::write(&file, &source.cubin)?;
        let listing = Command::new(wheels::nvdisasm()?).arg("--print-code").arg(&file).output()?;
        assert!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
        // Turing's disassembly calls a load of 16 bytes otherwise.
        let listing = String::from_utf8_lossy(&listing.stdout).replace("LDS.U.128", "LDS.128");
        // Every kernel is one that we know.
        let known = KERNELS.iter().filter(|kernel| kernel.source.file == source.source).count();
        let log = source.log.as_deref().ok_or("nothing of the compiler's")?;
        assert_eq!(log.matches("Compiling entry function").count(), known, "{}", source.source);
        for kernel in capability.kernels().filter(|kernel| kernel.source.file == source.source) {
            check(kernel, capability, log, &listing)?;
        }
    }
    Ok(())
}

/// Looks at what the assembler says of a kernel, and at its instructions.
fn check(
    kernel: &Kernel,
    capability: ComputeCapability,
    log: &str,
    listing: &str,
) -> Result<(), Box<dyn Error>> {
    let Kernel { name, threads, blocks, instructions, .. } = kernel;
    let properties = section(log, &format!("Compiling entry function '{name}'"), "Compile time");
    assert!(
        properties.contains("0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"),
        "{properties}"
    );
    let registers = number_before(properties, " registers").ok_or("no registers")?;
    // Registers are given out eight at a time.
    let blocks = (*blocks).min(most_threads(capability) / threads);
    let most = REGISTERS / (threads * blocks) / 8 * 8;
    assert!(registers <= most, "{name}, {capability}: {registers} registers, {most} leave room");
    let code = section(listing, &format!(".section\t.text.{name},"), ".section\t");
    for instruction in *instructions {
        assert!(code.contains(instruction), "{name}, {capability}: no {instruction}");
    }
    println!("{name}, {capability}: {registers} registers of {most}");
    Ok(())
}

/// A text from a start on, up to the next end.
fn section<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let Some(first) = text.find(start) else { return "" };
    let rest = &text[first..];
    &rest[..rest[start.len()..].find(end).map_or(rest.len(), |place| place + start.len())]
}

/// The number that stands before a word.
fn number_before(text: &str, word: &str) -> Option<u32> {
    text[..text.find(word)?].rsplit(' ').next()?.parse().ok()
}
