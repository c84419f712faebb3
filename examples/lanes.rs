use naswot::*;
use std::io::BufReader;
fn main() {
    let file = std::env::args().nth(1).unwrap();
    let n: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let limit: usize = std::env::args().nth(3).unwrap().parse().unwrap();
    let mode = std::env::args().nth(4).unwrap();
    let stem: usize = std::env::args().nth(5).map_or(16, |s| s.parse().unwrap());
    let nets: Vec<Network> = Architecture::read_lines(BufReader::new(std::fs::File::open(file).unwrap()))
        .take(limit)
        .map(|(_, a)| a.unwrap().network(stem, None).unwrap())
        .collect();
    let batch = Batch::synthetic(n, 0).unwrap();
    let run = |p: Precision, twins: bool| {
        let s = Scorer::builder(batch.clone()).precision(p).twins(twins).keep_kernels(true).build().unwrap();
        let t = std::time::Instant::now();
        let r: Vec<Score> = s.score_all(&nets).into_iter().map(|r| r.unwrap()).collect();
        let dt = t.elapsed().as_secs_f64();
        println!("{p} twins {twins} {}: {:.2} networks/s", s.device(), nets.len() as f64 / dt);
        r
    };
    let a = run(Precision::F32, false);
    if mode == "speed" {
        for _ in 0..3 {
            run(Precision::F32, false);
        }
        return;
    }
    let b = run(Precision::F64, false);
    let (mut dk, mut scale, mut ds) = (0f64, 0f64, 0f64);
    let mut worst = 0f64;
    for (x, y) in a.iter().zip(&b) {
        let (kx, ky) = (x.kernel.as_ref().unwrap(), y.kernel.as_ref().unwrap());
        let d: f64 =
            kx.as_slice().iter().zip(ky.as_slice()).map(|(&p, &q)| (p as f64 - q as f64).abs()).sum();
        let sc = (n * n) as f64 * ky.activations() as f64;
        dk += d;
        scale += sc;
        worst = worst.max(d / sc);
        if x.log_det.is_finite() {
            ds = ds.max((x.log_det - y.log_det).abs());
        } else {
            assert_eq!(x.log_det, y.log_det);
        }
    }
    println!("relative dK {:.3e} (worst {:.3e}), score {:.2e}", dk / scale, worst, ds);
}
