//! What a user can rely on of further scores: they change nothing, and depend on nothing that they should not.

mod common;

use common::networks::{mixed, noise, relu_of_the_image};
use naswot::{Backend, Batch, Network, Precision, Score, Scorer, ScorerBuilder};

fn builder(batch: &Batch) -> ScorerBuilder {
    Scorer::builder(batch.clone()).backend(Backend::Cpu)
}

fn with_swap(batch: &Batch) -> ScorerBuilder {
    builder(batch).scores("swap".parse().unwrap())
}

fn all(builder: ScorerBuilder, networks: &[Network]) -> Vec<Score> {
    builder.build().unwrap().score_all(networks).into_iter().map(Result::unwrap).collect()
}

fn patterns(builder: ScorerBuilder, networks: &[Network]) -> Vec<f64> {
    all(builder, networks).iter().map(|score| score.get("swap").unwrap()).collect()
}

#[test]
fn asking_for_more_changes_no_bit_of_k() {
    let (batch, networks) = (noise(19, 1), mixed(24));
    for precision in [Precision::F32, Precision::F64] {
        let scores = |builder: ScorerBuilder| {
            let scores = all(builder.precision(precision).keep_kernels(true), &networks);
            scores.into_iter().map(|score| (score.log_det.to_bits(), score.kernel)).collect::<Vec<_>>()
        };
        assert_eq!(scores(with_swap(&batch)), scores(builder(&batch)));
    }
}

#[test]
fn the_count_depends_neither_on_threads_nor_on_groups() {
    let (batch, networks) = (noise(19, 1), mixed(24));
    let alone = patterns(with_swap(&batch).threads(1), &networks);
    assert_eq!(patterns(with_swap(&batch).threads(2).group_size(5), &networks), alone);
    let shared = with_swap(&batch).threads(2).build().unwrap();
    let one_by_one: Vec<f64> =
        networks.iter().map(|network| shared.score(network).unwrap().get("swap").unwrap()).collect();
    assert_eq!(one_by_one, alone);
}

/// A unit that flips loses one pattern and gains another: the count moves by one at most.
#[test]
fn precisions_are_apart_by_no_more_than_the_units_that_flip() {
    let (batch, networks) = (noise(32, 5), mixed(40));
    let mut flips = 0;
    for network in &networks {
        let [single, double] = [Precision::F32, Precision::F64].map(|precision| {
            let builder = with_swap(&batch).precision(precision).keep_codes(true);
            let score = builder.build().unwrap().score(network).unwrap();
            (score.get("swap").unwrap(), score.codes.unwrap())
        });
        let flipped = single.1.flipped_units(&double.1, 16);
        assert!((single.0 - double.0).abs() <= flipped as f64, "{}: {flipped} flipped", network.id());
        flips += flipped;
    }
    println!("{flips} units flipped in all");
}

#[test]
fn only_the_first_images_count() {
    let (networks, all_images) = (mixed(8), noise(29, 3));
    for images in [8, 11, 16, 17, 24] {
        // Batch statistics are those of all images, so a smaller batch has other codes: compare in pieces of one batch.
        let few = patterns(with_swap(&all_images).swap_images(images), &networks);
        let most = 2f64.powi(images as i32);
        assert!(few.iter().all(|&count| (1.0..=most).contains(&count)), "{images}: {few:?}");
        let more = patterns(with_swap(&all_images).swap_images((images + 1).min(24)), &networks);
        assert!(few.iter().zip(&more).all(|(few, more)| few <= more), "{images}");
    }
    // Of fewer images all are taken.
    let small = noise(9, 3);
    let score = &all(with_swap(&small), &networks)[0];
    assert_eq!(score.settings.swap_images, Some(9));
    assert_eq!(
        patterns(with_swap(&small).swap_images(24), &networks),
        patterns(with_swap(&small), &networks)
    );
}

#[test]
fn a_network_whose_units_are_all_dead_has_one_pattern() {
    let batch = Batch::new([8, 3, 8, 8], vec![-1.0; 8 * 3 * 64]).unwrap();
    assert_eq!(patterns(with_swap(&batch), &[relu_of_the_image()]), [1.0]);
    let batch = Batch::new([8, 3, 8, 8], vec![1.0; 8 * 3 * 64]).unwrap();
    assert_eq!(patterns(with_swap(&batch), &[relu_of_the_image()]), [1.0]);
}

#[test]
fn what_was_not_asked_for_is_not_there_and_settings_say_what_was() {
    let (batch, network) = (noise(8, 1), relu_of_the_image());
    let [plain, more] =
        [builder(&batch), with_swap(&batch)].map(|b| b.build().unwrap().score(&network).unwrap());
    assert_eq!(
        (plain.get("swap"), plain.get("nwot"), plain.get("synflow")),
        (None, Some(plain.log_det), None)
    );
    assert_eq!((plain.settings.scores.to_string(), plain.settings.swap_images), ("nwot".to_owned(), None));
    assert!(more.get("swap").is_some());
    assert_eq!(
        (more.settings.scores.to_string(), more.settings.swap_images),
        ("nwot,swap".to_owned(), Some(8))
    );
    for images in [7, 25] {
        let error = with_swap(&batch).swap_images(images).build().err().unwrap();
        assert_eq!(error.to_string(), format!("swap images: must be 8 to 24 images, not {images}"));
    }
}

#[test]
fn of_repeats_there_is_the_mean() {
    let (batch, networks) = (noise(16, 2), mixed(3));
    let seeds: Vec<Vec<f64>> = (5..8)
        .map(|seed| patterns(with_swap(&batch).weights(naswot::Weights::Seeded { seed }), &networks))
        .collect();
    let first = with_swap(&batch).weights(naswot::Weights::Seeded { seed: 5 });
    for (i, mean) in patterns(first.repeats(3), &networks).into_iter().enumerate() {
        assert_eq!(mean, seeds.iter().map(|counts| counts[i]).sum::<f64>() / 3.0);
    }
}
