//! What a plan promises before anything runs.

mod common;

use std::collections::BTreeSet;

use common::networks::workload;
use naswot::plan::Plan;
use naswot::{Architecture, Convention, SkeletonSettings};
use serde_json::Value;

fn plan(architecture: &Architecture, stem: usize, images: usize) -> Plan {
    let network =
        architecture.network(&SkeletonSettings { stem: Some(stem), ..SkeletonSettings::default() }).unwrap();
    Plan::new(network.graph(), [images, 3, 32, 32], Convention::Relu).unwrap()
}

/// Launches of a plan: a job's slot, stage and tile class.
fn launches(plan: &Plan) -> BTreeSet<String> {
    let json = serde_json::to_value(plan).unwrap();
    let jobs = json["jobs"].as_array().unwrap();
    jobs.iter().map(|job| format!("{} {} {}", job["slot"], job["stage"], job["tile"])).collect()
}

/// The union of all cells bounds every group of them, whatever its size or mixture.
#[test]
fn launches_do_not_grow_with_the_group() {
    let bound = |space: &str, stem: usize| {
        let all: Vec<BTreeSet<String>> =
            workload(space).iter().map(|cell| launches(&plan(cell, stem, 32))).collect();
        let deepest = all.iter().map(BTreeSet::len).max().unwrap();
        let union: BTreeSet<String> = all.into_iter().flatten().collect();
        println!("{space} at {stem}: {} launches for all cells, {deepest} for the deepest", union.len());
        union
    };
    let nasbench101 = bound("nasbench101", 16);
    let nasbench201 = bound("nasbench201", 16);
    let wide = bound("nasbench101", 128);
    let both: BTreeSet<&String> = nasbench101.union(&nasbench201).collect();
    println!("both: {}", both.len());
    assert!(nasbench101.len() <= 115, "{}", nasbench101.len());
    assert!(nasbench201.len() <= 107, "{}", nasbench201.len());
    // Some of the wide cells have segments of narrow tiles, others of wide ones.
    assert!(wide.len() <= 123, "{}", wide.len());
    assert!(both.len() <= 115, "{}", both.len());
}

#[test]
fn slots_are_in_order_and_alternate_between_combine_and_conv() {
    for cell in workload("nasbench101").iter().chain(&workload("nasbench201")) {
        let plan = plan(cell, 16, 2);
        let slots: Vec<_> = plan.slots().collect();
        assert!(slots.is_sorted_by(|a, b| a < b));
        let json = serde_json::to_value(&plan).unwrap();
        for job in json["jobs"].as_array().unwrap() {
            let even = job["slot"]["phase"].as_u64().unwrap() % 2 == 0;
            assert_eq!(even, job["stage"] == "combine");
        }
    }
}

#[test]
fn a_plan_prints_as_a_table_and_as_json() {
    for cell in workload("nasbench101").iter().chain(&workload("nasbench201")) {
        let plan = plan(cell, 16, 4);
        let json: Value = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        let jobs = json["jobs"].as_array().unwrap();
        assert_eq!(json["activations"], plan.activations());
        assert_eq!(json["batch"], 4);
        assert_eq!(json["slots"], plan.slots().count());
        let text = plan.to_string();
        assert_eq!(text.lines().count(), 2 + jobs.len());
        assert!(text.starts_with(&format!("{} slots, {} jobs, ", json["slots"], jobs.len())));
        // Every multiply-accumulate of the network that a counted ReLU depends on.
        let macs = cell.network(&SkeletonSettings::default()).unwrap().macs(32, 32).unwrap();
        assert!(json["macs"].as_u64().unwrap() <= macs);
    }
}

/// What the model of a GPU's time reads: of each job all fields, with positions that lead somewhere.
#[test]
fn the_json_has_all_of_each_job() {
    let number = |value: &Value| value.as_u64().unwrap() as usize;
    for cell in workload("nasbench101").iter().chain(&workload("nasbench201")) {
        let json = serde_json::to_value(plan(cell, 16, 4)).unwrap();
        let (mut sum, mut regions) = (0, Vec::new());
        for row in json["jobs"].as_array().unwrap() {
            let job = &row["job"];
            if row["stage"] == "conv" {
                assert!(json["tensors"][number(&job["input"])].is_object(), "{job}");
                let shape = &json["tensors"][number(&job["output"])]["shape"];
                let taps = number(&job["kernel"][0]) * number(&job["kernel"][1]);
                for part in job["parts"].as_array().unwrap() {
                    let parameter = &json["parameters"][number(&part["parameter"])]["shape"];
                    let left = number(&parameter["out_channels"]) - 8 * number(&part["row"]);
                    let pairs = left.min(8 * number(&part["octets"])) * number(&parameter["in_channels"]);
                    sum += pairs * taps * number(&shape["height"]) * number(&shape["width"]);
                }
            } else {
                let terms = job["terms"].as_array().unwrap();
                assert!(
                    terms.iter().all(|term| json["tensors"][number(&term["tensor"])].is_object()),
                    "{job}"
                );
                let codes = terms.iter().map(|term| &term["code"]).chain([&job["code"]]);
                regions.extend(codes.filter(|code| !code.is_null()).map(number));
            }
        }
        assert_eq!(json["macs"], sum);
        regions.sort_unstable();
        regions.dedup();
        let all: Vec<usize> = (0..json["regions"].as_array().unwrap().len()).collect();
        assert_eq!(regions, all, "each region is some job's");
    }
}

/// The design's figures are for bf16, half of these.
#[test]
fn memory_stays_within_its_bounds() {
    for (space, stem, images, mean, most) in [
        ("nasbench101", 16, 32, 2.0 * 3.9, 2.0 * 10.5),
        ("nasbench101", 16, 128, 2.0 * 15.4, 2.0 * 42.0),
        ("nasbench101", 128, 32, 2.0 * 30.0, 2.0 * 84.0),
        ("nasbench101", 128, 128, 2.0 * 120.0, 2.0 * 336.0),
        ("nasbench201", 16, 32, 2.0 * 4.8, f64::INFINITY),
        ("nasbench201", 16, 128, 4.0 * 2.0 * 4.8, f64::INFINITY),
    ] {
        let plans: Vec<Plan> = workload(space).iter().map(|cell| plan(cell, stem, images)).collect();
        let arena = |plan: &Plan| 4e-6 * plan.memory().arena as f64;
        let all = |plan: &Plan| 1e-6 * plan.memory().bytes(4) as f64;
        for (what, bytes) in [("arena", &arena as &dyn Fn(&Plan) -> f64), ("in all", &all)] {
            let bytes: Vec<f64> = plans.iter().map(bytes).collect();
            let found = (bytes.iter().sum::<f64>() / 200.0, bytes.iter().copied().fold(0.0, f64::max));
            println!("{space} stem {stem} N {images} {what}: mean {:.1} MB, max {:.1} MB", found.0, found.1);
            if what == "arena" {
                assert!(found.0 <= 1.05 * mean && found.1 <= 1.05 * most, "{found:?}, not {mean}, {most}");
            }
        }
    }
}
