//! The settings of a sweep: every combination of the lists.

use clap::Args;
use naswot::{Convention, Precision, Scorer};

use super::report::SettingResult;
use crate::options::{Init, convention, initializer, most_images, precision};

#[derive(Args, Debug)]
#[command(next_help_heading = "Lists, with commas between")]
pub(super) struct SettingLists {
    /// Images in the batch [default: 32; the whole file for npy]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = most_images())]
    batch_size: Vec<usize>,
    /// Seeds that images are drawn with [default: take the first ones]
    #[arg(long, value_name = "SEED,..", value_delimiter = ',')]
    data_seed: Vec<u64>,
    /// Deviations of the noise on the images
    #[arg(
        long,
        value_name = "SIGMA,..",
        value_delimiter = ',',
        default_value = "0",
        allow_negative_numbers = true
    )]
    noise: Vec<f64>,
    /// Seeds of the weights
    #[arg(long, value_name = "SEED,..", value_delimiter = ',', default_value = "0")]
    seed: Vec<u64>,
    /// Initial weights
    #[arg(
        long,
        value_name = "INIT,..",
        value_delimiter = ',',
        default_value = "space",
        value_parser = initializer()
    )]
    init: Vec<Init>,
    /// Number formats
    #[arg(
        long,
        value_name = "PRECISION,..",
        value_delimiter = ',',
        default_value = "auto",
        value_parser = precision()
    )]
    precision: Vec<Precision>,
    /// How ReLUs are counted
    #[arg(
        long,
        value_name = "CONVENTION,..",
        value_delimiter = ',',
        default_value = Convention::Relu.name(),
        value_parser = convention()
    )]
    convention: Vec<Convention>,
}

/// The key of a batch: its size and data seed.
pub(super) type BatchKey = (Option<usize>, Option<u64>);

/// One combination of the lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Combination {
    pub(super) batch_size: Option<usize>,
    pub(super) data_seed: Option<u64>,
    pub(super) noise: f64,
    pub(super) seed: u64,
    pub(super) init: Init,
    pub(super) precision: Precision,
    pub(super) convention: Convention,
}

impl SettingLists {
    /// All combinations, the last list fastest.
    pub(super) fn combinations(&self) -> Vec<Combination> {
        fn optional<T: Copy>(list: &[T]) -> Vec<Option<T>> {
            if list.is_empty() { vec![None] } else { list.iter().copied().map(Some).collect() }
        }
        let mut combinations = Vec::new();
        for batch_size in optional(&self.batch_size) {
            for data_seed in optional(&self.data_seed) {
                for &noise in &self.noise {
                    for &seed in &self.seed {
                        for &init in &self.init {
                            for &precision in &self.precision {
                                combinations.extend(self.convention.iter().map(|&convention| Combination {
                                    batch_size,
                                    data_seed,
                                    noise,
                                    seed,
                                    init,
                                    precision,
                                    convention,
                                }));
                            }
                        }
                    }
                }
            }
        }
        combinations
    }
}

impl Combination {
    /// The result of this setting, as the scorer really has it, without any score yet.
    pub(super) fn setting(&self, scorer: &Scorer) -> SettingResult {
        let settings = scorer.settings();
        SettingResult {
            batch_size: settings.batch_shape[0],
            data_seed: self.data_seed,
            noise: settings.noise,
            seed: self.seed,
            initializer: settings.initializer,
            precision: settings.precision.to_string(),
            convention: settings.convention.name(),
            mean_score: None,
            infinite: 0,
            correlation: None,
        }
    }
}
