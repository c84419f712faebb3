//! Adapters: which there are, which of them can be used, and which one is best.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use wgpu::{Adapter, DeviceType, Instance, InstanceDescriptor, Limits};

use super::pipelines::EntryPoint;
use crate::backend::Device;
use crate::{BackendErrorKind, Error, Precision, Result};

/// Cache of the adapters: to enumerate them takes tens of milliseconds.
static FOUND: Mutex<Option<Vec<Adapter>>> = Mutex::new(None);

/// All adapters, the best one first; equal ones in the system's order.
fn adapters() -> Vec<Adapter> {
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    found.get_or_insert_with(look).clone()
}

/// Empties the cache, after a device was lost.
pub(super) fn forget() {
    *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

fn look() -> Vec<Adapter> {
    let instance = Instance::new(InstanceDescriptor::new_without_display_handle_from_env());
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::VirtualGpu => 1,
        DeviceType::IntegratedGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    });
    adapters
}

/// Adapters as `naswot devices` lists them.
pub(crate) fn devices() -> Vec<Device> {
    let adapters = adapters();
    if adapters.is_empty() {
        return vec![Device::refused("wgpu", NO_ADAPTER)];
    }
    let device = |adapter: &Adapter| Device {
        backend: format!("wgpu:{}", short(&adapter.get_info().name)),
        name: describe(adapter),
        details: details(adapter),
        software: is_software(adapter),
        unusable: unusable(&adapter.limits()),
        precisions: vec![Precision::F32.name()],
    };
    adapters.iter().map(device).collect()
}

/// The best adapter that can be used, or the best one whose name contains a text.
///
/// # Errors
/// There is none, or what there is lacks something.
pub(super) fn choose(name: Option<&str>) -> Result<Adapter> {
    let adapters = adapters();
    let fits = |adapter: &&Adapter| name.is_none_or(|name| contains(&adapter.get_info().name, name));
    if let Some(adapter) = adapters.iter().filter(fits).find(|adapter| unusable(&adapter.limits()).is_none())
    {
        return Ok(adapter.clone());
    }
    let fitting = adapters.iter().find(fits).map(|adapter| (adapter, unusable(&adapter.limits())));
    let (kind, reason) = match (fitting, name) {
        (Some((_, None)), _) => unreachable!("an adapter that can be used was chosen"),
        (Some((adapter, Some(why))), _) => {
            (BackendErrorKind::CannotOpen, format!("{}: {why}", describe(adapter)))
        }
        (None, Some(name)) if !adapters.is_empty() => {
            let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
            let reason = format!("no adapter's name contains `{name}`; there are {}", names.join(", "));
            (BackendErrorKind::NotFound, reason)
        }
        (None, _) => (BackendErrorKind::NotFound, NO_ADAPTER.to_owned()),
    };
    let backend = name.map_or_else(|| "wgpu".to_owned(), |name| format!("wgpu:{name}"));
    Err(Error::backend(kind, backend, reason))
}

/// Device files of GPUs on Linux.
const DEVICE_FILES: [&str; 5] = ["/dev/dri", "/dev/nvidiactl", "/dev/dxg", "/dev/kgsl-3d0", "/dev/mali0"];

/// Whether there is an adapter that `auto` may choose.
pub(crate) fn best_is_hardware() -> bool {
    // Drivers may complain loudly, each time, of a machine that has no GPU: they are not asked there.
    if cfg!(target_os = "linux") && !DEVICE_FILES.iter().any(|file| Path::new(file).exists()) {
        return false;
    }
    adapters().iter().any(|adapter| !is_software(adapter) && unusable(&adapter.limits()).is_none())
}

const NO_ADAPTER: &str = "no adapter for Vulkan, Metal or DX12 was found: install the GPU's driver, or \
     mesa-vulkan-drivers for a software adapter; or use cpu";

/// A name without what drivers add to it: enough to choose by.
fn short(name: &str) -> &str {
    name.split(['(', ',']).next().map_or(name, str::trim)
}

fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

pub(super) fn is_software(adapter: &Adapter) -> bool {
    adapter.get_info().device_type == DeviceType::Cpu
}

/// Name, kind and driver.
pub(super) fn describe(adapter: &Adapter) -> String {
    let info = adapter.get_info();
    let kind = match info.device_type {
        DeviceType::DiscreteGpu => "discrete GPU",
        DeviceType::IntegratedGpu => "integrated GPU",
        DeviceType::VirtualGpu => "virtual GPU",
        DeviceType::Cpu => "software adapter",
        DeviceType::Other => "unknown kind",
    };
    let driver = [info.driver, info.driver_info].join(" ");
    format!("{} ({kind}, {:?}, {})", info.name, info.backend, driver.trim())
}

/// Limits that decide how large a group may be, and features that a kernel could use.
fn details(adapter: &Adapter) -> String {
    let limits = adapter.limits();
    let mib = |bytes: u64| bytes >> 20;
    let features = adapter.features();
    let known = [
        (wgpu::Features::SUBGROUP, "subgroups"),
        (wgpu::Features::SHADER_F16, "f16"),
        (wgpu::Features::TIMESTAMP_QUERY, "timestamps"),
    ];
    let features: Vec<&str> =
        known.into_iter().filter(|(feature, _)| features.contains(*feature)).map(|(_, name)| name).collect();
    format!(
        "buffers of {} MiB, bindings of {} MiB, workgroups of {} threads and {} bytes; {}",
        mib(limits.max_buffer_size),
        mib(limits.max_storage_buffer_binding_size),
        limits.max_compute_invocations_per_workgroup,
        limits.max_compute_workgroup_storage_size,
        if features.is_empty() { "no features".to_owned() } else { features.join(", ") },
    )
}

/// The limit that is too small for the shaders, in words.
fn unusable(limits: &Limits) -> Option<String> {
    // As much of each as the shader takes that takes most of it.
    let most = |of: fn(EntryPoint) -> u32| EntryPoint::all().map(of).max().unwrap_or(0);
    let threads = most(|entry| entry.threads);
    let bytes = most(|entry| entry.workgroup_bytes);
    let buffers = most(|entry| entry.bindings.len() as u32);
    let needs = [
        ("threads in a workgroup", threads, limits.max_compute_invocations_per_workgroup),
        ("threads along a workgroup", threads, limits.max_compute_workgroup_size_x),
        ("bytes of workgroup memory", bytes, limits.max_compute_workgroup_storage_size),
        ("storage buffers in a stage", buffers, limits.max_storage_buffers_per_shader_stage),
    ];
    needs.into_iter().find(|(_, needed, found)| found < needed).map(|(what, needed, found)| {
        format!("its limit of {found} {what} is too small, {needed} are needed; use another backend")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_to_what_the_command_line_takes() {
        assert_eq!(short("llvmpipe (LLVM 15.0.6, 256 bits)"), "llvmpipe");
        assert_eq!(short("NVIDIA H100 PCIe"), "NVIDIA H100 PCIe");
    }

    #[test]
    fn limits_that_are_too_small_are_named() {
        assert_eq!(unusable(&Limits::default()), None);
        let few = Limits { max_storage_buffers_per_shader_stage: 4, ..Limits::default() };
        assert!(unusable(&few).unwrap().contains("4 storage buffers in a stage is too small, 6 are needed"));
        let narrow = Limits { max_compute_invocations_per_workgroup: 128, ..Limits::default() };
        assert!(unusable(&narrow).unwrap().contains("128 threads"));
    }
}
