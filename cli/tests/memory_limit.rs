//! A run takes its memory limit and little more.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::mem::MaybeUninit;
use std::process::Command;

/// The most memory that a process had which this one has waited for, in bytes.
fn peak_of_children() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer leads to room for what is written.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) }, 0);
    // SAFETY: it was written, and zeros are a value of it as well.
    let usage = unsafe { usage.assume_init() };
    usage.ru_maxrss as u64 * 1024
}

/// By themselves allocators keep what is freed, up to three times this limit.
#[test]
fn a_run_takes_its_limit_and_what_the_process_itself_needs() {
    const LIMIT: u64 = 50 << 20;
    let options = "--space nasbench201 --sample 20 --batch-size 64 --backend cpu --threads 2 -q";
    let output = Command::new(env!("CARGO_BIN_EXE_naswot"))
        .args(["score", "--memory-limit", &LIMIT.to_string()])
        .args(options.split(' '))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let peak = peak_of_children();
    assert!(peak > 20 << 20, "{peak}: were there networks at all?");
    assert!(peak < LIMIT + (50 << 20), "{peak}");
}
