//! What the command says of devices that are missing or no measure of speed, and that it goes on without them.

mod common;

use std::process::{Command, ExitCode};

use common::harness::{Outcome, Requirement, needs, plain, run};
use naswot::Space;

const NASWOT: &str = env!("CARGO_BIN_EXE_naswot");

fn main() -> ExitCode {
    let mut trials = Vec::new();
    if cfg!(feature = "cuda") {
        trials.push(plain("without_a_gpu_it_says_so_and_auto_goes_on", no_gpu));
    }
    if cfg!(feature = "wgpu") {
        let name = "bench_measures_no_software_adapter_unless_named";
        trials.push(needs(Requirement::Wgpu, name, bench_refuses_software));
    }
    if cfg!(all(feature = "wgpu", target_os = "linux")) {
        trials.push(plain("without_an_adapter_auto_goes_on", no_adapter));
    }
    run(trials)
}

/// Its speed says nothing.
fn bench_refuses_software() -> Outcome {
    let devices = naswot::devices();
    let mut adapters = devices.iter().filter(|d| d.backend.starts_with("wgpu") && d.unusable.is_none());
    if !adapters.all(|adapter| adapter.software) {
        return Ok(());
    }
    let bench = Command::new(NASWOT).args(["bench", "--quick", "--backend", "wgpu"]).output()?;
    let message = String::from_utf8_lossy(&bench.stderr).into_owned();
    assert_eq!(bench.status.code(), Some(2));
    assert!(message.contains("is the only adapter") && message.contains("--backend 'wgpu:"), "{message}");
    Ok(())
}

/// No driver: what was asked for is refused with a remedy, and `auto` takes the processor.
fn no_adapter() -> Outcome {
    let naswot = |arguments: &[&str]| {
        Command::new(NASWOT)
            .args(arguments)
            .env("VK_DRIVER_FILES", "/nowhere.json")
            .env("VK_ICD_FILENAMES", "/nowhere.json")
            .env("WGPU_BACKEND", "vulkan")
            .output()
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let cells = tempfile::NamedTempFile::new()?;
    let cell = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|";
    std::fs::write(cells.path(), format!("{{\"space\":\"nasbench201\",\"arch\":\"{cell}\"}}\n"))?;
    let path = cells.path().to_str().ok_or("a path that is no text")?;
    let refused = naswot(&["score", path, "--backend", "wgpu"])?;
    assert_eq!(refused.status.code(), Some(2));
    let message = text(&refused.stderr);
    assert!(message.contains("backend wgpu: no adapter") && message.contains("use cpu"), "{message}");
    assert!(refused.stdout.is_empty());
    let scored = naswot(&["score", path, "--batch-size", "4", "--stem", "2", "--cells", "1"])?;
    assert_eq!(scored.status.code(), Some(0));
    assert!(text(&scored.stdout).lines().nth(1).is_some_and(|row| row.contains(",cpu,")));
    let devices = naswot(&["devices"])?;
    assert_eq!(devices.status.code(), Some(0));
    let row = text(&devices.stdout);
    let row = row.lines().find(|row| row.starts_with("wgpu")).ok_or("no row for wgpu")?;
    assert!(row.contains(" no ") && row.contains("no adapter"), "{row}");
    Ok(())
}

/// A process that sees no GPU, whether there is a driver or not.
fn no_gpu() -> Outcome {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(NASWOT);
        command.args(arguments).env("CUDA_VISIBLE_DEVICES", "").env("VK_ICD_FILENAMES", "/nonexistent");
        command.env("VK_DRIVER_FILES", "/nonexistent").output()
    };
    let output = run(&["devices", "--json"])?;
    let devices: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let cuda = devices.as_array().and_then(|all| all.iter().find(|device| device["backend"] == "cuda"));
    let reason = cuda.and_then(|cuda| cuda["unusable"].as_str()).ok_or("cuda is not listed as unusable")?;
    assert!(reason.contains("NVIDIA driver"), "{reason}");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("cells.jsonl");
    let cells = path.to_str().ok_or("a path that is no text")?;
    std::fs::write(&path, Space::NasBench101.parse_arch("0110001100010000/01")?.to_json())?;
    let refused = run(&["score", cells, "--backend", "cuda"])?;
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("backend cuda: ") && text.contains("use another backend"), "{text}");
    let scored = run(&["score", cells, "--batch-size", "4", "--stem", "4"])?;
    assert!(scored.status.success(), "{}", String::from_utf8_lossy(&scored.stderr));
    assert!(String::from_utf8_lossy(&scored.stdout).contains(",cpu,"));
    Ok(())
}
