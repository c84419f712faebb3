//! The lockstep check: every launch of a group is compared with its twin on the CPU.

use std::sync::Arc;

use super::adapter;
use super::gpu::Gpu;
use super::pipelines::Checks;
use super::session::WgpuSession;
use crate::backend::Setup;
use crate::backend::group::lockstep::Deviation;
use crate::backend::group::lockstep::{Device, lay_out, lockstep as run};
use crate::backend::group::session::DeviceSession as _;
use crate::backend::group::{Fault, Group, Launch, Mirror, batch as units_of};
use crate::{Batch, Convention, Network, Result, Weights};

/// Runs networks launch by launch; see [`crate::testing::lockstep`].
pub(crate) fn lockstep(
    name: Option<&str>,
    networks: &[Network],
    batch: &Batch,
    weights: &Weights,
    convention: Convention,
) -> Result<Vec<Deviation>> {
    let setup = Setup::new(batch.clone(), weights.clone(), convention).with_every_stage();
    let gpu = Gpu::open(&adapter::choose(name)?, Checks::Checked)?;
    let image: Arc<[f32]> = units_of(batch).into();
    let fatal = |fault: Fault| fault.fatal("wgpu", &gpu.name);
    let mut session = WgpuSession::new(Arc::clone(&gpu), None, &setup, Arc::clone(&image)).map_err(fatal)?;
    let limits = *session.limits();
    let (group, new) = lay_out(networks, &setup, &limits, &mut session.cache)?;
    let (all, used) = (group.all_launches(&new), session.cache.used());
    gpu.guarded(|| session.upload(&group, &new)).map_err(fatal)?;
    let mut device = Checked { session, group: &group, name: &gpu.name };
    run(&mut device, &group, &all, &new, used, &*setup.source, &image)
}

struct Checked<'a> {
    session: WgpuSession,
    group: &'a Group,
    name: &'a str,
}

impl Device for Checked<'_> {
    fn restore(&mut self, mirror: &Mirror) -> Result<()> {
        self.session.restore(mirror).map_err(|fault| fault.fatal("wgpu", self.name))
    }

    fn run(&mut self, launch: &Launch) -> Result<()> {
        let gpu = Arc::clone(&self.session.gpu);
        let run = || self.session.run(std::slice::from_ref(launch), |_, _| ());
        gpu.guarded(run).map(drop).map_err(|fault| fault.fatal("wgpu", self.name))
    }

    fn mirror(&mut self) -> Result<Mirror> {
        self.session.mirror(self.group).map_err(|fault| fault.fatal("wgpu", self.name))
    }
}
