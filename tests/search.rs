//! What a search finds is what its definition says, whatever space and score it is given.

use std::cell::RefCell;
use std::collections::HashSet;

use naswot::analysis::{Candidates, Found, SearchSpace, Searcher};
use naswot::{Architecture, Error, Result, Space};

/// Numbers below 1000; neighbours differ by one.
struct Line;

impl SearchSpace for Line {
    type Candidate = i64;

    fn draw(&self, seed: u64) -> i64 {
        (seed % 1000) as i64
    }

    fn mutate(&self, parent: &i64, seed: u64) -> Option<i64> {
        let child = if seed.is_multiple_of(2) { parent + 1 } else { parent - 1 };
        (0..1000).contains(&child).then_some(child)
    }
}

/// 64 bits, of which ones are wanted; neighbours differ in one.
struct Bits;

impl SearchSpace for Bits {
    type Candidate = u64;

    fn draw(&self, seed: u64) -> u64 {
        seed
    }

    fn mutate(&self, parent: &u64, seed: u64) -> Option<u64> {
        Some(parent ^ (1 << (seed % 64)))
    }
}

fn ones(numbers: &[u64]) -> Result<Vec<f64>> {
    Ok(numbers.iter().map(|number| f64::from(number.count_ones())).collect())
}

fn value(numbers: &[i64]) -> Result<Vec<f64>> {
    Ok(numbers.iter().map(|&number| -f64::from((number - 700).abs() as i32)).collect())
}

fn check(found: &Found<i64>, samples: usize) {
    assert_eq!(found.history.len(), samples);
    let best = found.history.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    assert_eq!(found.value, best);
    assert_eq!(found.history.iter().find(|(_, value)| *value == best).unwrap().0, found.best);
}

#[test]
fn equal_seeds_search_alike() {
    for run in 0..3 {
        let search = |seed, run| {
            let searcher = Searcher::new(&Line, 60).seed(seed).run(run);
            let found = [searcher.random(value), searcher.evolution(value), searcher.area(value, value)];
            found.map(Result::unwrap)
        };
        let (first, other, next) = (search(5, run), search(6, run), search(5, run + 1));
        assert_eq!(first, search(5, run));
        for i in 0..3 {
            check(&first[i], 60);
            assert_ne!(first[i].history, other[i].history);
            assert_ne!(first[i].history, next[i].history);
        }
    }
}

#[test]
fn random_search_keeps_the_best_of_uniform_draws() {
    let candidates = Candidates::all(Space::NasBench201).unwrap();
    let position = |architectures: &[Architecture]| {
        Ok(architectures.iter().map(|a| candidates.position(a).unwrap() as f64).collect())
    };
    let runs: Vec<f64> =
        (0..400).map(|run| Searcher::new(&candidates, 10).run(run).random(position).unwrap().value).collect();
    // The largest of ten uniform numbers: mean 10 / 11, variance 10 / (11^2 12); within four standard errors.
    let count = Space::NasBench201.count().unwrap() as f64;
    let mean = runs.iter().sum::<f64>() / runs.len() as f64 / count;
    let error = (10.0f64 / (121.0 * 12.0) / runs.len() as f64).sqrt();
    assert!((mean - 10.0 / 11.0).abs() < 4.0 * error, "{mean}");
}

#[test]
fn evolution_climbs_where_chance_does_not() {
    for run in 0..20 {
        let searcher = Searcher::new(&Bits, 400).run(run);
        let (random, evolution) = (searcher.random(ones).unwrap(), searcher.evolution(ones).unwrap());
        // The best of 400 draws has some 32 + 3 x 4; of the children of a good parent some are a step on.
        assert!((38.0..50.0).contains(&random.value), "{}", random.value);
        assert!(evolution.value > 56.0, "{}", evolution.value);
    }
}

#[test]
fn area_evaluates_the_best_of_the_scored_first() {
    let scored = RefCell::new(Vec::new());
    let score = |numbers: &[i64]| {
        scored.borrow_mut().extend_from_slice(numbers);
        value(numbers)
    };
    // Evaluations that know nothing of the score.
    let evaluate = |numbers: &[i64]| Ok(numbers.iter().map(|number| (number % 7) as f64).collect());
    let found = Searcher::new(&Line, 50).population(6, 3).initial(15).area(score, evaluate).unwrap();
    check(&found, 50);
    let mut scored = scored.into_inner();
    assert_eq!(scored.len(), 15);
    scored.sort_by_key(|number| (number - 700).abs());
    let first: Vec<i64> = found.history[..6].iter().map(|(number, _)| (number - 700).abs()).collect();
    let expected: Vec<i64> = scored[..6].iter().map(|number| (number - 700).abs()).collect();
    assert_eq!(first, expected);
    // Every later one is a neighbour of one of the population before it.
    for i in 6..50 {
        let child = found.history[i].0;
        assert!(found.history[i - 6..i].iter().any(|(parent, _)| (parent - child).abs() == 1), "{i}");
    }
}

#[test]
fn budgets_hold_for_every_candidate() {
    let even = |number: &i64| Ok(number % 3 == 0);
    let searcher = Searcher::new(&Line, 80).admit(even);
    for found in [searcher.random(value), searcher.evolution(value), searcher.area(value, value)] {
        let found = found.unwrap();
        check(&found, 80);
        assert!(found.history.iter().all(|(number, _)| number % 3 == 0));
    }
}

#[test]
fn candidates_stay_among_themselves() {
    let space = Space::NasBench201;
    let some: Vec<Architecture> = space.all().unwrap().step_by(3).collect();
    let candidates = Candidates::of(some.iter().cloned().chain(some[..5].to_vec())).unwrap();
    assert_eq!(candidates.architectures(), some);
    let among: HashSet<Architecture> = some.iter().cloned().collect();
    for seed in 0..200 {
        let drawn = candidates.draw(seed);
        assert!(among.contains(&drawn));
        let mutant = candidates.mutate(&drawn, seed).unwrap();
        assert!(among.contains(&mutant) && mutant != drawn);
    }
    let alone = Candidates::of(Space::NasBench101.parse_arch("0100/")).unwrap();
    assert_eq!(alone.mutate(&alone.draw(0), 0), None);
    // A cell without a neighbour is followed by a fresh draw.
    let found = Searcher::new(&alone, 30).evolution(|cells| Ok(vec![1.0; cells.len()])).unwrap();
    assert_eq!(found.history.len(), 30);
}

#[test]
fn what_cannot_be_searched_is_an_error() {
    let message = |found: Result<Found<i64>>| found.unwrap_err().to_string();
    let searcher = |samples| Searcher::new(&Line, samples);
    assert_eq!(message(searcher(0).random(value)), "search: samples: is zero");
    assert_eq!(message(searcher(1).population(0, 1).evolution(value)), "search: population: is zero");
    assert_eq!(message(searcher(1).population(1, 0).area(value, value)), "search: tournament: is zero");
    assert_eq!(message(searcher(2).random(|_| Ok(vec![1.0]))), "search: 1 values came for 2 candidates");
    assert_eq!(message(searcher(1).random(|_| Ok(vec![f64::NAN]))), "search: a value is NaN");
    assert_eq!(message(searcher(1).random(|_| Err(Error::Cancelled))), "cancelled");
    assert_eq!(
        message(searcher(1).admit(|_| Ok(false)).random(value)),
        "search: none of 10000 candidates that were drawn is within the budget"
    );
    assert_eq!(Candidates::of([]).unwrap_err().to_string(), "search: there are no candidates");
}
