//! What is measured: the first cells of two fixed lists, drawn uniformly from their spaces.

use naswot::{Architecture, Batch, Network};

use crate::exit::{Failure, Result};

const NASBENCH101: &str = include_str!("../../../benches/workloads/nasbench101_200.jsonl");
const NASBENCH201: &str = include_str!("../../../benches/workloads/nasbench201_200.jsonl");

/// Height and width of the images.
pub(super) const IMAGE: usize = 32;

/// Networks of one size, and how many images they see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    cells: &'static str,
    stem: usize,
    images: usize,
}

impl Workload {
    pub(super) const ALL: [Workload; 6] = [
        Workload::new("nasbench101-stem16-n32", NASBENCH101, 16, 32),
        Workload::new("nasbench101-stem16-n128", NASBENCH101, 16, 128),
        Workload::new("nasbench101-stem128-n32", NASBENCH101, 128, 32),
        Workload::new("nasbench101-stem128-n128", NASBENCH101, 128, 128),
        Workload::new("nasbench201-n32", NASBENCH201, 16, 32),
        Workload::new("nasbench201-n128", NASBENCH201, 16, 128),
    ];

    const fn new(name: &'static str, cells: &'static str, stem: usize, images: usize) -> Self {
        Workload { name, cells, stem, images }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name == name)
    }

    pub(super) fn batch(&self) -> Result<Batch> {
        Ok(Batch::synthetic(self.images, 0)?)
    }

    /// All its networks, in order.
    pub(super) fn networks(&self) -> Result<Vec<Network>> {
        let network = |line: &str| Architecture::from_json(line)?.network(self.stem, None);
        self.cells.lines().map(network).collect::<naswot::Result<_>>().map_err(Failure::unusable)
    }

    /// Floating-point operations of a network's convolutions: a multiplication and an addition for each weight
    /// under each output, padding included.
    pub(super) fn flop(&self, network: &Network) -> Result<f64> {
        Ok(2.0 * network.macs(IMAGE, IMAGE)? as f64 * self.images as f64)
    }
}
