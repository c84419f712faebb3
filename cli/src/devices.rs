//! `naswot devices`: the backends and devices of the machine.

use clap::Args;
use naswot::Device;

use crate::exit::{Failure, Result};
use crate::stdout_lines::StdoutLines;

/// List backends and devices: usable or not, and why
#[derive(Args, Debug)]
pub(crate) struct Devices {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

impl Devices {
    /// Runs the command.
    pub(crate) fn run(&self) -> Result {
        let devices = naswot::devices();
        let mut lines = StdoutLines::new();
        if self.json {
            lines.print_data(serde_json::to_string(&devices).map_err(Failure::stopped)?)?;
        } else {
            let width =
                devices.iter().map(|device| device.backend.chars().count()).max().unwrap_or(0).max(10);
            lines.print(format_args!("{:<width$} {:<7} {:<12} device", "backend", "usable", "precisions"))?;
            for device in &devices {
                let Device { backend, name, details, unusable, precisions, .. } = device;
                let (usable, what) = match unusable {
                    None if details.is_empty() => ("yes", name.clone()),
                    None => ("yes", format!("{name}: {details}")),
                    Some(reason) if name.is_empty() => ("no", reason.clone()),
                    Some(reason) => ("no", format!("{name}: {reason}")),
                };
                let precisions = precisions.join(" ");
                lines.print(format_args!("{backend:<width$} {usable:<7} {precisions:<12} {what}"))?;
            }
        }
        lines.finish()
    }
}
