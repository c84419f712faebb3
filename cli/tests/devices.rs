//! What the command says of devices that are missing, alike or no measure of speed, and that it goes on without them.

mod common;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use common::harness::{Outcome, Requirement, lavapipe, needs, plain, run};
use common::wheels;
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
        let name = "what_devices_prints_selects_that_adapter";
        trials.push(needs(Requirement::Lavapipe, name, equal_names));
        let name = "an_adapter_that_does_not_conform_is_listed_with_what_allows_it";
        trials.push(needs(Requirement::Lavapipe, name, not_conformant));
        let name = "drivers_write_no_lines_of_their_own";
        trials.push(needs(Requirement::Lavapipe, name, silent_drivers));
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
    std::fs::write(cells.path(), CELL)?;
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

/// The command, on a machine whose adapters are lavapipe, so many times over.
fn lavapipes(folder: &Path, count: usize, arguments: &[&str]) -> Result<Command, Box<dyn Error>> {
    let driver = lavapipe()?;
    let copy = |i: usize| {
        let file = folder.join(format!("{i}.json"));
        std::fs::copy(&driver, &file).map(|_| file)
    };
    let files = std::env::join_paths((0..count).map(copy).collect::<Result<Vec<_>, _>>()?)?;
    let mut command = Command::new(NASWOT);
    command.args(arguments).env("VK_DRIVER_FILES", &files).env("VK_ICD_FILENAMES", &files);
    for variable in
        ["XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "WGPU_ALLOW_UNDERLYING_NONCOMPLIANT_ADAPTER"]
    {
        command.env_remove(variable);
    }
    Ok(command)
}

const CELL: &str =
    r#"{"space":"nasbench201","arch":"|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"}"#;

/// An adapter: what `--backend` takes for it, and why it cannot be used.
type Adapter = (String, Option<String>);

/// The rows of `naswot devices` for wgpu.
fn adapters(mut devices: Command) -> Result<Vec<Adapter>, Box<dyn Error>> {
    let output = devices.arg("--json").output()?;
    let devices: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let adapters =
        devices.iter().filter(|device| device["backend"].as_str().is_some_and(|b| b.starts_with("wgpu")));
    Ok(adapters
        .map(|device| (text(&device["backend"]).unwrap_or_default(), text(&device["unusable"])))
        .collect())
}

fn equal_names() -> Outcome {
    let folder = tempfile::tempdir()?;
    let cells = folder.path().join("cells.jsonl");
    std::fs::write(&cells, CELL)?;
    let path = cells.to_str().ok_or("a path that is no text")?;
    let score = ["score", path, "--batch-size", "4", "--stem", "2", "--cells", "1", "--backend"];
    let [one, two] = [1, 2].map(|count| lavapipes(folder.path(), count, &["devices"]).and_then(adapters));
    assert_eq!(one?, [("wgpu:llvmpipe".to_owned(), None)]);
    let two = two?;
    assert_eq!(two, [("wgpu:llvmpipe#0".to_owned(), None), ("wgpu:llvmpipe#1".to_owned(), None)]);
    for (backend, _) in &two {
        let scored = lavapipes(folder.path(), 2, &[&score[..], &[backend]].concat())?.output()?;
        assert_eq!(scored.status.code(), Some(0), "{backend}: {}", String::from_utf8_lossy(&scored.stderr));
        assert!(String::from_utf8_lossy(&scored.stdout).contains(",wgpu,"));
    }
    let refused = lavapipes(folder.path(), 2, &[&score[..], &["wgpu:llvmpipe#2"]].concat())?.output()?;
    assert_eq!(refused.status.code(), Some(2));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    for part in [
        "2 adapters have `llvmpipe` in their name",
        "llvmpipe#0 (llvmpipe (LLVM",
        "llvmpipe#1 (llvmpipe (LLVM",
    ] {
        assert!(message.contains(part), "{message}");
    }
    Ok(())
}

fn not_conformant() -> Outcome {
    let folder = tempfile::tempdir()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playing_layer/layer.c");
    let library = folder.path().join("layer.so");
    let built = Command::new(wheels::c_compiler()?)
        .args(["-shared", "-fPIC"])
        .arg(source)
        .arg("-o")
        .arg(&library)
        .output()?;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let name = "VK_LAYER_NASWOT_not_conformant";
    let layer = serde_json::json!({ "file_format_version": "1.1.2", "layer": {
        "name": name, "type": "GLOBAL", "library_path": library, "api_version": "1.3.0", "implementation_version": "1",
        "description": "drivers that do not conform",
    } });
    let layers = folder.path().join("layers");
    std::fs::create_dir(&layers)?;
    std::fs::write(layers.join("layer.json"), layer.to_string())?;
    let naswot = |arguments: &[&str]| -> Result<Command, Box<dyn Error>> {
        let mut command = lavapipes(folder.path(), 1, arguments)?;
        command.env("VK_LAYER_PATH", &layers).env("VK_INSTANCE_LAYERS", name);
        Ok(command)
    };
    let variable = "WGPU_ALLOW_UNDERLYING_NONCOMPLIANT_ADAPTER";
    let found = adapters(naswot(&["devices"])?)?;
    let [(backend, Some(why))] = &found[..] else { return Err(format!("{found:?}").into()) };
    assert_eq!(backend, "wgpu:llvmpipe");
    assert!(why.contains("does not conform to Vulkan") && why.contains(&format!("{variable}=1")), "{why}");
    let cells = folder.path().join("cells.jsonl");
    std::fs::write(&cells, CELL)?;
    let path = cells.to_str().ok_or("a path that is no text")?;
    let refused = naswot(&["score", path, "--backend", "wgpu"])?.output()?;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2));
    assert!(message.contains("llvmpipe") && message.contains(variable), "{message}");
    let mut allowed = naswot(&["devices"])?;
    allowed.env(variable, "1");
    assert_eq!(adapters(allowed)?, [("wgpu:llvmpipe".to_owned(), None)]);
    Ok(())
}

fn silent_drivers() -> Outcome {
    let folder = tempfile::tempdir()?;
    let output = lavapipes(folder.path(), 1, &["devices"])?.output()?;
    assert!(String::from_utf8_lossy(&output.stdout).contains("llvmpipe"));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
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
