//! The cases of `tests/reference`, as PyTorch left them.

use std::error::Error;
use std::fs;
use std::path::Path;

use naswot::{
    Architecture, Backend, Batch, Checkpoint, Codes, Convention, Network, Precision, Score, ScoreKind,
    Scorer, ScorerBuilder, SkeletonSettings, Weights,
};

pub const CASES: [&str; 10] = [
    "nb101_affine",
    "nb101_blog_example",
    "nb101_conv3x3",
    "nb101_inplace_edge",
    "nb101_projection_stem128",
    "nb101_truncation",
    "nb201_dead_branch",
    "nb201_disconnected",
    "nb201_mixed",
    "nb201_proxies_a",
];

/// A case as PyTorch left it.
pub struct Case {
    pub architecture: Architecture,
    stem: usize,
    batch: Batch,
    weights: Checkpoint,
    pub activations: u64,
    /// None where K is singular.
    score: Option<f64>,
    kernel: Vec<i64>,
    /// Distinct activation patterns.
    swap: f64,
    convolutions: u64,
    /// Scores of features; -inf where they are text.
    features: [(ScoreKind, f64); 3],
}

impl Case {
    pub fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let json = |path: &Path| -> Result<serde_json::Value, Box<dyn Error>> {
            Ok(serde_json::from_slice(&fs::read(path)?)?)
        };
        let score = json(&folder.join("score.json"))?;
        let name = folder.file_name().and_then(|name| name.to_str()).ok_or("no name")?;
        let others = &json(&folder.with_file_name("scores.json"))?[name];
        assert!(score["score"].is_f64() || score["score"] == "-inf");
        Ok(Case {
            architecture: Architecture::from_json(&score["arch"].to_string())?,
            stem: serde_json::from_value(score["stem"].clone())?,
            batch: Batch::npy(folder.join("batch.npy"))?,
            weights: Checkpoint::load(folder.join("weights.safetensors"))?,
            activations: score["activations"].as_u64().ok_or("no activations")?,
            score: score["score"].as_f64(),
            kernel: npyz::NpyFile::new(&fs::read(folder.join("k.npy"))?[..])?.into_vec()?,
            swap: others["swap"].as_f64().ok_or("no swap")?,
            convolutions: others["convs"].as_u64().ok_or("no convs")?,
            features: [ScoreKind::Meco, ScoreKind::Expressivity, ScoreKind::Progressivity].map(|kind| {
                let score = &others[kind.name()];
                assert!(score.is_f64() || score == "-inf", "{name}: {kind}");
                (kind, score.as_f64().unwrap_or(f64::NEG_INFINITY))
            }),
        })
    }

    pub fn network(&self) -> naswot::Result<Network> {
        self.architecture.network(&SkeletonSettings { stem: Some(self.stem), ..SkeletonSettings::default() })
    }

    pub fn score(
        &self,
        backend: &Backend,
        precision: Precision,
        convention: Convention,
    ) -> Result<Score, Box<dyn Error>> {
        self.score_on(|builder| builder.backend(backend.clone()), precision, convention)
    }

    fn score_on(
        &self,
        device: impl FnOnce(ScorerBuilder) -> ScorerBuilder,
        precision: Precision,
        convention: Convention,
    ) -> Result<Score, Box<dyn Error>> {
        let scorer = device(Scorer::builder(self.batch.clone()))
            .weights(Weights::Checkpoint(self.weights.clone()))
            .precision(precision)
            .convention(convention)
            .keep_kernels(true)
            .build()?;
        Ok(scorer.score(&self.network()?)?)
    }

    /// In f64 K is PyTorch's, entry for entry; in f32 signs near zero may differ, within the promised bound.
    pub fn agrees(&self, backend: &Backend, precision: Precision) -> Result<(), Box<dyn Error>> {
        self.agrees_on(|builder| builder.backend(backend.clone()), precision)
    }

    /// The same on any device.
    pub fn agrees_on(
        &self,
        device: impl FnOnce(ScorerBuilder) -> ScorerBuilder,
        precision: Precision,
    ) -> Result<(), Box<dyn Error>> {
        let score = self.score_on(device, precision, Convention::Relu)?;
        assert_eq!((score.activations, score.convolutions), (self.activations, self.convolutions));
        let kernel = score.kernel.ok_or("no kernel")?;
        let n = kernel.images();
        assert_eq!(n, self.batch.len());
        assert!((0..n).all(|i| kernel.get(i, i).map(u64::from) == Some(self.activations)));
        let ours = kernel.as_slice().iter().map(|&entry| i64::from(entry));
        let difference: u64 = ours.zip(&self.kernel).map(|(a, b)| a.abs_diff(*b)).sum();
        let (most, tolerance) = match precision {
            Precision::F64 => (0.0, self.score.unwrap_or(0.0).abs() * 1e-9),
            _ => (1e-5 * (n * n) as f64 * self.activations as f64, 1e-3),
        };
        assert!(difference as f64 <= most, "K differs by {difference} in all, over {most}");
        match self.score {
            Some(expected) => {
                let error = (score.log_det - expected).abs();
                assert!(error <= tolerance, "{} is {error:e} off {expected}", score.log_det);
            }
            None => assert_eq!(score.log_det, f64::NEG_INFINITY),
        }
        Ok(())
    }

    /// The scores of features are PyTorch's: within 1e-9 in f64, else within 1e-3.
    pub fn agrees_in_features(
        &self,
        device: impl FnOnce(ScorerBuilder) -> ScorerBuilder,
        precision: Precision,
    ) -> Result<(), Box<dyn Error>> {
        let kinds = self.features.iter().map(|&(kind, _)| kind);
        let score =
            self.score_on(|builder| device(builder).scores(kinds.collect()), precision, Convention::Relu)?;
        let tolerance = if precision == Precision::F64 { 1e-9 } else { 1e-3 };
        for (kind, expected) in self.features {
            let ours = score.get(kind.name()).ok_or(kind.name())?;
            println!("{kind}: {ours} for {expected}, {:e} off", (ours - expected).abs());
            assert!(
                ours == expected || (ours - expected).abs() <= tolerance,
                "{kind}: {ours}, not {expected}"
            );
        }
        Ok(())
    }

    /// The count of activation patterns is PyTorch's in f64; elsewhere but for the units whose codes are other ones.
    pub fn agrees_in_patterns(
        &self,
        device: impl FnOnce(ScorerBuilder) -> ScorerBuilder,
        precision: Precision,
    ) -> Result<(), Box<dyn Error>> {
        let (ours, codes) = self.patterns_on(device, precision)?;
        let (exact, exact_codes) =
            self.patterns_on(|builder| builder.backend(Backend::Cpu), Precision::F64)?;
        assert_eq!(exact, self.swap);
        let flipped = codes.flipped_units(&exact_codes, self.batch.len().min(16));
        assert!((ours - exact).abs() <= flipped as f64, "{ours}, not {exact}: {flipped} units flipped");
        assert!(flipped as f64 <= 1e-4 * self.activations as f64, "{flipped} units flipped");
        Ok(())
    }

    fn patterns_on(
        &self,
        device: impl FnOnce(ScorerBuilder) -> ScorerBuilder,
        precision: Precision,
    ) -> Result<(f64, Codes), Box<dyn Error>> {
        let scores = "swap".parse()?;
        let with_codes = |builder| device(builder).scores(scores).keep_codes(true);
        let score = self.score_on(with_codes, precision, Convention::Relu)?;
        Ok((score.get("swap").ok_or("no swap")?, score.codes.ok_or("no codes")?))
    }
}
