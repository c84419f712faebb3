//! The command `naswot`.

use std::env::{set_var, var_os};
use std::path::Path;
use std::process::{ExitCode, exit};
use std::thread::Builder;

fn main() -> ExitCode {
    keep_mesa_quiet();
    naswot_cli::panics::quiet();
    let heard = || naswot_cli::interrupt::signal().map_or((), |status| exit(status.into()));
    // Where no thread can be started, nobody would hear what the handler catches: then signals end the process, as they do.
    if thread_starts()
        && let Err(error) = ctrlc::set_handler(heard)
    {
        eprintln!("error: cannot listen for Ctrl-C: {error}");
        return 2.into();
    }
    naswot_cli::run(std::env::args_os()).into()
}

fn thread_starts() -> bool {
    Builder::new().spawn(|| ()).is_ok_and(|thread| thread.join().is_ok())
}

/// Has Mesa, the drivers of most GPUs on Linux, keep lines of its own off standard error, by its own variables, as far as
/// the user has not set them.
fn keep_mesa_quiet() {
    if !cfg!(all(target_os = "linux", feature = "wgpu")) {
        return;
    }
    // Of drivers that do not conform: `naswot devices` says so.
    set_default("MESA_VK_IGNORE_CONFORMANCE_WARNING", "true");
    // Of settings of the system that would allow a driver more.
    set_default("MESA_LOG_LEVEL", "error");
    // Its layer that moves the desktop's GPU to the front asks Wayland for it, and libwayland complains where it has no folder
    // to find a desktop in, as over ssh and in containers. There the layer has nothing to do but what the user asks of it.
    let folder = var_os("XDG_RUNTIME_DIR").is_some_and(|folder| Path::new(&folder).is_absolute());
    let display = ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "MESA_VK_DEVICE_SELECT"];
    if !folder && display.iter().all(|name| var_os(name).is_none()) {
        set_default("NODEVICE_SELECT", "1");
    }
}

fn set_default(name: &str, value: &str) {
    if var_os(name).is_none() {
        // SAFETY: the process has one thread yet.
        unsafe { set_var(name, value) };
    }
}
