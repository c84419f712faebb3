//! A drawn cell can be read: boxes stand apart, edges run through none but their own, and cross no more than they must.

use naswot::analysis::drawing::{Direction, Edge, Layout, NodeBox};
use naswot::{Architecture, Space, nasbench101, nasbench201};
use rayon::prelude::*;

const DIRECTIONS: [Direction; 2] = [Direction::LeftToRight, Direction::TopToBottom];

/// Points along an edge as it is drawn, close enough to meet every box that it touches.
fn trace(edge: &Edge, direction: Direction) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for (i, pair) in edge.points.windows(2).enumerate() {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        points.extend((0..=16).map(|step| {
            let t = f64::from(step) / 16.0;
            // A cubic curve with its control points half way: 3 t^2 - 2 t^3 across.
            let bent = if i % 2 == 1 { t * t * (3.0 - 2.0 * t) } else { t };
            let along = if i % 2 == 1 { 1.5 * t * (1.0 - t) + t * t * t } else { t };
            match direction {
                Direction::LeftToRight => (x0 + (x1 - x0) * along, y0 + (y1 - y0) * bent),
                Direction::TopToBottom => (x0 + (x1 - x0) * bent, y0 + (y1 - y0) * along),
            }
        }));
    }
    points
}

/// Whether a point is in a box, or nearer to it than this.
fn inside(node: &NodeBox, (x, y): (f64, f64), near: f64) -> bool {
    (x - node.x).abs() < node.width / 2.0 + near && (y - node.y).abs() < node.height / 2.0 + near
}

fn check_places(architecture: &Architecture, layout: &Layout, direction: Direction) {
    let name = architecture.arch();
    for (i, a) in layout.nodes.iter().enumerate() {
        let (left, top) = (a.x - a.width / 2.0, a.y - a.height / 2.0);
        assert!(left >= 0.0 && left + a.width <= layout.width, "{name}: box {i} is outside");
        assert!(top >= 0.0 && top + a.height <= layout.height, "{name}: box {i} is outside");
        for (j, b) in layout.nodes[..i].iter().enumerate() {
            let apart = (a.x - b.x).abs() >= (a.width + b.width) / 2.0 + 6.0
                || (a.y - b.y).abs() >= (a.height + b.height) / 2.0 + 6.0;
            assert!(apart, "{name}: boxes {j} and {i} touch");
        }
    }
    for edge in &layout.edges {
        for (v, node) in layout.nodes.iter().enumerate() {
            let own = [edge.from, edge.to].contains(&v);
            // An edge ends at the side of its own box.
            let touches = trace(edge, direction)
                .into_iter()
                .any(|point| inside(node, point, if own { -0.5 } else { 4.0 }));
            assert!(!touches, "{name}: edge {} -> {} meets box {v}", edge.from, edge.to);
        }
    }
}

/// The edges of a drawing cut at the layers: for each gap, where its pieces begin and end, across the direction, and the
/// layer's own coordinate. Read from the picture alone.
fn pieces(layout: &Layout) -> Vec<Vec<(f64, f64)>> {
    let turned = |(x, y): (f64, f64)| match layout.direction {
        Direction::LeftToRight => (x, y),
        _ => (y, x),
    };
    let mut gaps: Vec<(f64, Vec<(f64, f64)>)> = Vec::new();
    for edge in &layout.edges {
        for pair in edge.points[1..].chunks_exact(2) {
            let ((along, from), (_, to)) = (turned(pair[0]), turned(pair[1]));
            match gaps.iter_mut().find(|(start, _)| (start - along).abs() < 1e-9) {
                Some((_, pieces)) => pieces.push((from, to)),
                None => gaps.push((along, vec![(from, to)])),
            }
        }
    }
    gaps.sort_by(|a, b| a.0.total_cmp(&b.0));
    gaps.into_iter().map(|(_, pieces)| pieces).collect()
}

fn crossings(pieces: &[(f64, f64)]) -> usize {
    let cross = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0) * (a.1 - b.1) < 0.0;
    pieces.iter().enumerate().map(|(i, a)| pieces[..i].iter().filter(|b| cross(a, b)).count()).sum()
}

/// The fewest crossings of any order within the layers, found by trying them all, less those that cannot be better.
fn fewest(gaps: &[Vec<(f64, f64)>]) -> usize {
    /// Tries all orders of the layer behind the first gap; `order` is that of the layer before it.
    fn search(gaps: &[Vec<(f64, f64)>], order: &[f64], so_far: usize, best: &mut usize) {
        let Some((gap, rest)) = gaps.split_first() else {
            *best = so_far.min(*best);
            return;
        };
        let mut layer: Vec<f64> = gap.iter().map(|piece| piece.1).collect();
        layer.sort_by(f64::total_cmp);
        layer.dedup();
        let rank = |order: &[f64], place: f64| order.iter().position(|&p| p == place).unwrap() as f64;
        permute(&mut layer.clone(), 0, &mut |next| {
            let ranked: Vec<(f64, f64)> =
                gap.iter().map(|&(from, to)| (rank(order, from), rank(next, to))).collect();
            let sum = so_far + crossings(&ranked);
            if sum < *best {
                search(rest, next, sum, best);
            }
        });
    }
    let mut best = usize::MAX;
    search(gaps, &[gaps[0][0].0], 0, &mut best);
    best
}

fn permute(items: &mut [f64], from: usize, visit: &mut impl FnMut(&[f64])) {
    if from == items.len() {
        return visit(items);
    }
    for i in from..items.len() {
        items.swap(from, i);
        permute(items, from + 1, visit);
        items.swap(from, i);
    }
}

/// Checks a cell both ways, and says how many edges cross.
fn check(architecture: &Architecture) -> usize {
    for direction in DIRECTIONS {
        let layout = Layout::new(architecture, direction);
        check_places(architecture, &layout, direction);
    }
    let layout = Layout::new(architecture, Direction::LeftToRight);
    let gaps = pieces(&layout);
    let drawn: usize = gaps.iter().map(|gap| crossings(gap)).sum();
    assert_eq!(drawn, layout.crossings, "{}", architecture.arch());
    assert_eq!(drawn, fewest(&gaps), "{}", architecture.arch());
    drawn
}

#[test]
fn every_cell_of_nasbench201_is_drawn_without_a_crossing() {
    let cells: Vec<nasbench201::Cell> = nasbench201::all().collect();
    assert!(cells.into_par_iter().all(|cell| check(&cell.into()) == 0));
}

#[test]
fn cells_of_nasbench101_cross_no_more_than_they_must() {
    let n = 5_000;
    let cells = nasbench101::sample(n, 0).unwrap();
    let crossings: Vec<usize> = cells.into_par_iter().map(|cell| check(&cell.into())).collect();
    // Over 20,000 cells it was 1.15 %, each with one.
    let crossed = crossings.iter().filter(|&&crossings| crossings > 0).count();
    assert!(crossed * 100 < n * 2, "{crossed} of {n} cells have edges that cross");
    assert!(crossings.iter().all(|&crossings| crossings <= 1));
}

#[test]
fn edges_are_those_of_the_cell() {
    for cell in Space::NasBench101.sample(500, 3).unwrap() {
        let Architecture::NasBench101(cell) = cell else { unreachable!() };
        let layout = Layout::new(&cell.into(), Direction::LeftToRight);
        assert_eq!(layout.edges.len(), cell.edges());
        assert!(layout.edges.iter().all(|edge| cell.has_edge(edge.from, edge.to)));
    }
}
