//! The worked example of docs/method.md: codes of three images, their agreement matrix K, its determinant and the score.
//!
//!     cargo run --release --example worked_example [K.npy]
//!
//! With a file, K is written to it, for `naswot plot heat-map`.

use std::fs::File;

use naswot::Agreement;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let codes = ["101", "001", "100"];
    let bits = codes.map(|code| code.chars().map(|bit| bit == '1').collect::<Vec<bool>>());
    let kernel = Agreement::from_codes(&bits)?;
    for (code, row) in codes.iter().zip(kernel.as_slice().chunks(kernel.images())) {
        println!("{code}    {row:?}");
    }
    let score = kernel.log_det();
    println!("score = ln {:.0} = {score:.4}", score.exp());
    if let Some(path) = std::env::args_os().nth(1) {
        kernel.write_npy(File::create(path)?)?;
    }
    Ok(())
}
