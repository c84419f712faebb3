use naswot::*;
fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let f64_: bool = std::env::args().nth(2).is_some();
    for e in std::fs::read_dir(&dir).unwrap() {
        let p = e.unwrap().path();
        let Ok(text) = std::fs::read_to_string(p.join("score.json")) else { continue };
        let j: serde_json::Value = serde_json::from_str(&text).unwrap();
        let Some(arch) = j["arch"]["arch"].as_str() else { continue };
        let cell: nasbench201::Cell = arch.parse().unwrap();
        let batch = Batch::npy(p.join("batch.npy")).unwrap();
        let w = Checkpoint::load(p.join("weights.safetensors")).unwrap();
        let s = Scorer::builder(batch)
            .weights(Weights::Checkpoint(w))
            .keep_kernels(true)
            .precision(if f64_ { Precision::F64 } else { Precision::F32 })
            .build()
            .unwrap();
        let t = std::time::Instant::now();
        let net = cell.network(16, 5).unwrap();
        let score = s.score(&net).unwrap();
        println!(
            "{} {} {} want {} {} {:?}",
            p.display(),
            score.log_det,
            score.activations,
            j["score"],
            j["activations"],
            t.elapsed()
        );
    }
}
