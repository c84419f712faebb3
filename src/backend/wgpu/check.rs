//! Compares every launch of a group with its twin on the CPU.

use std::sync::Arc;

use super::adapter;
use super::gpu::{Checks, Fault, Gpu};
use super::session::{Session, launches};
use crate::backend::cpu::octets_last;
use crate::backend::group::lockstep::{Device, lockstep as run};
use crate::backend::group::{Group, Joins, Launch, Load, Mirror};
use crate::backend::{Precision, Setup};
use crate::measure::Deviation;
use crate::{Batch, Convention, Error, Network, Result, Weights};

/// Runs networks launch by launch; see [`crate::measure::lockstep`].
pub(crate) fn lockstep(
    name: Option<&str>,
    networks: &[Network],
    batch: &Batch,
    weights: &Weights,
    convention: Convention,
) -> Result<Vec<Deviation>> {
    let setup = Setup {
        batch: batch.clone(),
        weights: weights.clone(),
        source: weights.source(),
        convention,
        precision: Precision::F32,
        threads: 1,
        group_size: None,
        memory_limit: None,
        keep_kernels: false,
        twins: Vec::new(),
        probe: None,
    };
    let gpu = Gpu::open(&adapter::choose(name)?, Checks::Checked)?;
    let image: Arc<[f32]> = octets_last(batch).into();
    let mut session =
        Session::new(Arc::clone(&gpu), &setup, Arc::clone(&image)).map_err(|f| f.fatal(&gpu.name))?;
    let mut laid_out = Vec::new();
    for network in networks {
        let plan = setup.plan(network)?;
        let load = Load::of(&plan, &session.limits)?;
        let full =
            || Error::Backend { backend: "wgpu".to_owned(), reason: "the weight pool is full".to_owned() };
        let resident = session.pool.place(&plan)?.ok_or_else(full)?;
        laid_out.push((plan, load, resident));
    }
    let group = Group::new(laid_out, &session.pool, Joins::Launches);
    group.check(session.pool.used())?;
    let fresh = session.pool.take_fresh();
    let (all, used) = (launches(&group, &fresh), session.pool.used());
    let fatal = |fault: Fault| fault.fatal(&gpu.name);
    gpu.guarded(|| session.upload(&group, &fresh)).map_err(fatal)?;
    let mut device = Checked { session, group: &group, name: &gpu.name };
    run(&mut device, &group, &all, (&fresh, used), &*setup.source, &image)
}

struct Checked<'a> {
    session: Session,
    group: &'a Group,
    name: &'a str,
}

impl Device for Checked<'_> {
    fn restore(&mut self, mirror: &Mirror) -> Result<()> {
        self.session.restore(mirror).map_err(|fault| fault.fatal(self.name))
    }

    fn run(&mut self, launch: &Launch) -> Result<()> {
        let gpu = Arc::clone(&self.session.gpu);
        let run = || self.session.run(std::slice::from_ref(launch), |_, _| ());
        gpu.guarded(run).map(drop).map_err(|fault| fault.fatal(self.name))
    }

    fn mirror(&mut self) -> Result<Mirror> {
        self.session.mirror(self.group).map_err(|fault| fault.fatal(self.name))
    }
}
