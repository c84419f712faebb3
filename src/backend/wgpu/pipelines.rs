//! The pipeline of each kind of launch, made once a device, and the memory that it binds.

use std::collections::HashMap;

use wgpu::{
    BindGroupLayout, BindGroupLayoutEntry, BindingType, BufferBindingType, ComputePipeline,
    ComputePipelineDescriptor, Device, PipelineCompilationOptions, ShaderRuntimeChecks, ShaderStages,
};

use crate::backend::group::{Buffer::*, LaunchKind, Memory, PerKind, Shared::*, Table::*};

// SHADERS, names and sources of all shaders, and entry_point(kind): build.rs makes them of `shaders/`.
include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// Index checks of shaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checks {
    /// Indices are checked: for tests.
    Checked,
    /// Indices are not checked: checks cost up to a hundred times in inner loops.
    Trusted,
}

/// A shader's function, for one kind of launch.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryPoint {
    shader: &'static str,
    function: &'static str,
    /// Threads of a workgroup, and bytes of its memory.
    pub(super) threads: u32,
    pub(super) workgroup_bytes: u32,
    /// Memory that it binds beside its launch, which has number 0.
    pub(super) bindings: &'static [Binding],
}

/// Memory that a shader binds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    pub(super) number: u32,
    pub(super) memory: Memory,
    is_written: bool,
}

impl EntryPoint {
    /// The entry points of all kinds of launches that a group has.
    pub(super) fn all() -> impl Iterator<Item = EntryPoint> {
        LaunchKind::ALL.into_iter().filter_map(entry_point)
    }
}

/// A pipeline and what it binds.
pub(super) struct Pipeline {
    pub(super) pipeline: ComputePipeline,
    pub(super) layout: BindGroupLayout,
    pub(super) bindings: &'static [Binding],
}

/// Makes all pipelines: of the kinds of launches that a group has.
pub(super) fn pipelines(device: &Device, checks: Checks) -> PerKind<Option<Pipeline>> {
    let module = |&(name, source): &(&'static str, &'static str)| {
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        };
        let module = match checks {
            Checks::Checked => device.create_shader_module(descriptor),
            // SAFETY: the shaders are this crate's own. They index buffers by records whose every extent
            // `Group::check` has seen, workgroup memory by constants and thread numbers, and all loops end.
            Checks::Trusted => unsafe {
                device.create_shader_module_trusted(descriptor, ShaderRuntimeChecks::unchecked())
            },
        };
        (name, module)
    };
    let modules: HashMap<&str, wgpu::ShaderModule> = SHADERS.iter().map(module).collect();
    PerKind::from_fn(|kind| {
        let entry = entry_point(kind)?;
        Some(pipeline(device, &modules[entry.shader], &entry))
    })
}

fn pipeline(device: &Device, module: &wgpu::ShaderModule, entry: &EntryPoint) -> Pipeline {
    let layout_entry = |binding: u32, ty: BufferBindingType| BindGroupLayoutEntry {
        binding,
        visibility: ShaderStages::COMPUTE,
        ty: BindingType::Buffer {
            ty,
            has_dynamic_offset: ty == BufferBindingType::Uniform,
            min_binding_size: None,
        },
        count: None,
    };
    let mut entries = vec![layout_entry(0, BufferBindingType::Uniform)];
    entries.extend(entry.bindings.iter().map(|binding| {
        layout_entry(binding.number, BufferBindingType::Storage { read_only: !binding.is_written })
    }));
    let label = Some(entry.function);
    let layout =
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipeline = device.create_compute_pipeline(&ComputePipelineDescriptor {
        label,
        layout: Some(&pipeline_layout),
        module,
        entry_point: Some(entry.function),
        compilation_options: PipelineCompilationOptions {
            constants: &[],
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    });
    Pipeline { pipeline, layout, bindings: entry.bindings }
}
