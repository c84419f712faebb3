//! The pipeline of each step, made once a device, and the buffers that it binds.

use std::collections::HashMap;

use wgpu::{
    BindGroupLayout, BindGroupLayoutEntry, BindingType, BufferBindingType, ComputePipeline,
    ComputePipelineDescriptor, Device, PipelineCompilationOptions, ShaderRuntimeChecks, ShaderStages,
};

use super::gpu::Checks;
use crate::backend::group::Step;

/// Name and source of every shader, validated by the build script.
const SHADERS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// A buffer by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Content {
    /// What the jobs of each launch share.
    Launches,
    Terms,
    Combines,
    Convs,
    Rows,
    NormJobs,
    Agreements,
    Choleskys,
    WeightsJobs,
    /// The quantiles of both distributions.
    Quantiles,
    Pool,
    Arena,
    Norms,
    Partials,
    Codes,
    Kernels,
    Pivots,
    Statuses,
}

impl Content {
    pub(super) const ALL: [Content; 18] = [
        Content::Launches,
        Content::Terms,
        Content::Combines,
        Content::Convs,
        Content::Rows,
        Content::NormJobs,
        Content::Agreements,
        Content::Choleskys,
        Content::WeightsJobs,
        Content::Quantiles,
        Content::Pool,
        Content::Arena,
        Content::Norms,
        Content::Partials,
        Content::Codes,
        Content::Kernels,
        Content::Pivots,
        Content::Statuses,
    ];
}

/// A pipeline and what it binds, in the order of bindings.
pub(super) struct Pipeline {
    pub(super) pipeline: ComputePipeline,
    pub(super) layout: BindGroupLayout,
    pub(super) bindings: Vec<(u32, Content)>,
}

/// Shader, entry point, and the buffers that it binds from number 1 on: number, content, and whether it is written.
/// Number 0 is what the jobs of the launch share.
type Interface = (&'static str, &'static str, &'static [(u32, Content, bool)]);

const STEPS: [Step; 9] = [
    Step::Weights,
    Step::Start,
    Step::Combine,
    Step::ConvNarrow,
    Step::ConvWide,
    Step::BatchNorm,
    Step::StoredBatchNorm,
    Step::Agreement,
    Step::Cholesky,
];

fn interface(step: Step) -> Interface {
    use Content::*;
    const CONV: &[(u32, Content, bool)] =
        &[(1, Convs, false), (2, Rows, false), (3, Pool, false), (4, Arena, true), (5, Partials, true)];
    match step {
        Step::Weights => {
            ("weights", "weights", &[(1, WeightsJobs, false), (2, Quantiles, false), (3, Pool, true)])
        }
        Step::Start => {
            ("agreement", "start", &[(3, Kernels, true), (4, Choleskys, false), (5, Statuses, true)])
        }
        Step::Combine => (
            "combine",
            "combine",
            &[
                (1, Combines, false),
                (2, Terms, false),
                (3, Norms, false),
                (4, Arena, true),
                (5, Codes, true),
                (6, Statuses, true),
            ],
        ),
        Step::ConvNarrow => ("conv_narrow", "conv", CONV),
        Step::ConvWide => ("conv_wide", "conv", CONV),
        Step::BatchNorm => (
            "batch_norm",
            "batch_norm",
            &[
                (1, NormJobs, false),
                (2, Pool, false),
                (3, Norms, true),
                (4, Statuses, true),
                (5, Partials, false),
            ],
        ),
        Step::StoredBatchNorm => (
            "batch_norm",
            "stored_batch_norm",
            &[
                (1, NormJobs, false),
                (2, Pool, false),
                (3, Norms, true),
                (4, Statuses, true),
                (6, Combines, false),
                (7, Arena, false),
            ],
        ),
        Step::Agreement => {
            ("agreement", "agreement", &[(1, Agreements, false), (2, Codes, false), (3, Kernels, true)])
        }
        Step::Cholesky => (
            "cholesky",
            "cholesky",
            &[(1, Choleskys, false), (2, Kernels, false), (3, Arena, true), (4, Pivots, true)],
        ),
    }
}

/// Makes all pipelines.
pub(super) fn pipelines(device: &Device, checks: Checks) -> HashMap<Step, Pipeline> {
    let modules: HashMap<&str, wgpu::ShaderModule> = SHADERS
        .iter()
        .map(|&(name, source)| {
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
        })
        .collect();
    STEPS.into_iter().map(|step| (step, pipeline(device, &modules, interface(step)))).collect()
}

fn pipeline(
    device: &Device,
    modules: &HashMap<&str, wgpu::ShaderModule>,
    (shader, entry, buffers): Interface,
) -> Pipeline {
    let entry_of = |binding: u32, ty: BufferBindingType| BindGroupLayoutEntry {
        binding,
        visibility: ShaderStages::COMPUTE,
        ty: BindingType::Buffer {
            ty,
            has_dynamic_offset: ty == BufferBindingType::Uniform,
            min_binding_size: None,
        },
        count: None,
    };
    let mut entries = vec![entry_of(0, BufferBindingType::Uniform)];
    entries.extend(buffers.iter().map(|&(binding, _, is_written)| {
        entry_of(binding, BufferBindingType::Storage { read_only: !is_written })
    }));
    let label = Some(entry);
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
        module: &modules[shader],
        entry_point: Some(entry),
        compilation_options: PipelineCompilationOptions {
            constants: &[],
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    });
    let bindings = std::iter::once((0, Content::Launches));
    let bindings = bindings.chain(buffers.iter().map(|&(binding, content, _)| (binding, content))).collect();
    Pipeline { pipeline, layout, bindings }
}
