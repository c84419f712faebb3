//! Tells `naswot --version` the commit and the features that the command is built from.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=NASWOT_COMMIT={}", commit().unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo::rustc-env=NASWOT_FEATURES={}", features());
}

/// The commit of a packaged crate, as cargo noted it, else that of the workspace's repository.
fn commit() -> Option<String> {
    packaged().or_else(checked_out).map(|commit| commit.chars().take(12).collect())
}

fn packaged() -> Option<String> {
    let info = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    println!("cargo::rerun-if-changed=.cargo_vcs_info.json");
    let (_, rest) = info.split_once("\"sha1\"")?;
    rest.split('"').nth(1).filter(|commit| is_hash(commit)).map(str::to_owned)
}

fn checked_out() -> Option<String> {
    // Another project's repository may surround a copy of the sources; its commit is not ours.
    if !Path::new("../.git").exists() {
        return None;
    }
    // The reflog grows with every commit and checkout. A missing file would mean a build each time.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "HEAD"]).filter(|commit| is_hash(commit))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then_some(())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn is_hash(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Features that are on, in alphabetical order.
fn features() -> String {
    let features = env::vars().filter_map(|(name, _)| {
        let feature = name.strip_prefix("CARGO_FEATURE_")?.to_ascii_lowercase().replace('_', "-");
        (feature != "default").then_some(feature)
    });
    let mut features: Vec<String> = features.collect();
    features.sort();
    features.join(" ")
}
