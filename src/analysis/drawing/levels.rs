//! Vertices in layers: the order within each that crosses fewest edges, and among those orders and places the straightest
//! edges. Cells are so small that both are found exactly, by dynamic programming over the layers.
//!
//! An edge over several layers has a *bend* in each layer between, which takes a place there as a vertex does, so it never
//! runs through one. Places are whole numbers: two bends side by side are at least 1 apart, and all else 2.

/// An item of a layer: a vertex, or the bend of an edge that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Vertex(usize),
    /// The bend of an edge, by the edge's number.
    Bend(usize),
}

/// A graph in layers.
pub(super) struct Levels {
    pub(super) layers: Vec<Vec<Item>>,
    /// Edges between each layer and the next, as pairs of positions in the two lists.
    gaps: Vec<Vec<(usize, usize)>>,
}

/// An order of a layer: the items' numbers from top to bottom, and each item's rank.
struct Order {
    items: Vec<usize>,
    ranks: Vec<usize>,
}

/// The orders of the layers that cross fewest edges.
pub(super) struct Orders {
    pub(super) crossings: usize,
    /// Per layer.
    orders: Vec<Vec<Order>>,
    /// For each gap and each order of the layer before it, the orders of the layer behind it that can follow where fewest
    /// edges cross.
    best: Vec<Vec<Vec<usize>>>,
}

/// The place of every item, per layer.
#[derive(Default)]
pub(super) struct Places {
    pub(super) places: Vec<Vec<usize>>,
    /// The last place; the first is 0.
    pub(super) most: usize,
    /// The sum over all pieces of edges of their [`bending`].
    pub(super) cost: u64,
}

impl Levels {
    pub(super) fn new(layering: &[usize], edges: &[(usize, usize)]) -> Self {
        let last = layering.iter().max().map_or(0, |&layer| layer);
        let mut layers = vec![Vec::new(); last + 1];
        let mut gaps = vec![Vec::new(); last];
        let mut position = vec![0; layering.len()];
        for (v, &layer) in layering.iter().enumerate() {
            position[v] = layers[layer].len();
            layers[layer].push(Item::Vertex(v));
        }
        for (edge, &(from, to)) in edges.iter().enumerate() {
            let mut before = position[from];
            for layer in layering[from] + 1..layering[to] {
                gaps[layer - 1].push((before, layers[layer].len()));
                before = layers[layer].len();
                layers[layer].push(Item::Bend(edge));
            }
            gaps[layering[to] - 1].push((before, position[to]));
        }
        Levels { layers, gaps }
    }

    /// The orders that cross fewest edges.
    pub(super) fn orders(&self) -> Orders {
        let orders: Vec<Vec<Order>> = self.layers.iter().map(|items| permutations(items.len())).collect();
        let crossed: Vec<Vec<Vec<usize>>> = self
            .gaps
            .iter()
            .zip(orders.windows(2))
            .map(|(gap, sides)| {
                let row = |a: &Order| sides[1].iter().map(|b| crossings(gap, &a.ranks, &b.ranks)).collect();
                sides[0].iter().map(row).collect()
            })
            .collect();
        // Fewest crossings behind each order of each layer, and then before it.
        let mut behind = vec![vec![0; orders[orders.len() - 1].len()]];
        for gap in crossed.iter().rev() {
            let next = &behind[behind.len() - 1];
            let least = |row: &Vec<usize>| row.iter().zip(next).map(|(c, rest)| c + rest).min().unwrap_or(0);
            behind.push(gap.iter().map(least).collect());
        }
        behind.reverse();
        let fewest = behind[0].iter().min().map_or(0, |&fewest| fewest);
        let mut before: Vec<usize> = vec![0; orders[0].len()];
        let mut best = Vec::new();
        for (gap, behind) in crossed.iter().zip(&behind[1..]) {
            let with = |(row, before): (&Vec<usize>, &usize)| {
                let sum = |b: usize| before + row[b] + behind[b];
                (0..row.len()).filter(|&b| sum(b) == fewest).collect()
            };
            best.push(gap.iter().zip(&before).map(with).collect());
            let reach = |b: usize| gap.iter().zip(&before).map(|(row, before)| before + row[b]).min();
            before = (0..behind.len()).map(|b| reach(b).unwrap_or(0)).collect();
        }
        Orders { crossings: fewest, orders, best }
    }

    /// The straightest edges among the orders that cross fewest.
    pub(super) fn place(&self, found: &Orders) -> Places {
        let can_be_best = |layer: usize, order: usize| match found.best.get(layer) {
            Some(gap) => !gap[order].is_empty(),
            None => found.best[layer - 1].iter().any(|orders| orders.contains(&order)),
        };
        let kept: Vec<Vec<usize>> = (0..self.layers.len())
            .map(|l| (0..found.orders[l].len()).filter(|&order| can_be_best(l, order)).collect())
            .collect();
        let width = |l: usize, order: usize| -> usize {
            found.orders[l][order].items.windows(2).map(|pair| self.apart(l, pair)).sum()
        };
        let widths = kept.iter().enumerate().flat_map(|(l, orders)| orders.iter().map(move |&o| (l, o)));
        let most = widths.map(|(l, order)| width(l, order)).max().unwrap_or(0);
        // Every way to place the items of a layer, with its order.
        let states: Vec<Vec<(usize, Vec<usize>)>> = kept
            .iter()
            .enumerate()
            .map(|(l, orders)| {
                orders.iter().flat_map(|&o| self.spread(l, &found.orders[l][o], most, o)).collect()
            })
            .collect();
        let own = |places: &[usize]| places.iter().map(|&p| (2 * p).abs_diff(most).pow(2) as u64).sum();
        let mut costs: Vec<u64> = states[0].iter().map(|(_, places)| own(places)).collect();
        let mut from: Vec<Vec<usize>> = Vec::new();
        for (l, gap) in self.gaps.iter().enumerate() {
            let mut next = vec![(u64::MAX, 0); states[l + 1].len()];
            for (s, (order, places)) in states[l].iter().enumerate() {
                for (target, (next_order, next_places)) in next.iter_mut().zip(&states[l + 1]) {
                    if costs[s] >= target.0 || !found.best[l][*order].contains(next_order) {
                        continue;
                    }
                    let bent = |&(a, b): &(usize, usize)| {
                        let bends = [self.layers[l][a], self.layers[l + 1][b]];
                        bending(bends, places[a].abs_diff(next_places[b]))
                    };
                    let cost = costs[s] + gap.iter().map(bent).sum::<u64>() + own(next_places);
                    if cost < target.0 {
                        *target = (cost, s);
                    }
                }
            }
            costs = next.iter().map(|&(cost, _)| cost).collect();
            from.push(next.into_iter().map(|(_, s)| s).collect());
        }
        let (mut s, cost) = costs.iter().copied().enumerate().min_by_key(|&(_, cost)| cost).unwrap_or((0, 0));
        let mut places = Vec::new();
        for l in (0..self.layers.len()).rev() {
            places.push(states[l][s].1.clone());
            s = if l > 0 { from[l - 1][s] } else { 0 };
        }
        places.reverse();
        let used = || places.iter().flatten().copied();
        let (first, last) = (used().min().unwrap_or(0), used().max().unwrap_or(0));
        places.iter_mut().flatten().for_each(|place| *place -= first);
        Places { places, most: last - first, cost }
    }

    /// How far apart two neighbors of a layer are at least.
    fn apart(&self, layer: usize, pair: &[usize]) -> usize {
        let bends = pair.iter().all(|&i| matches!(self.layers[layer][i], Item::Bend(_)));
        if bends { 1 } else { 2 }
    }

    /// All places from 0 to `most` that the items of a layer can take in an order.
    fn spread(&self, layer: usize, order: &Order, most: usize, name: usize) -> Vec<(usize, Vec<usize>)> {
        let mut all = vec![(0, vec![0; order.items.len()])];
        for (rank, &item) in order.items.iter().enumerate() {
            let apart = if rank > 0 { self.apart(layer, &order.items[rank - 1..=rank]) } else { 0 };
            let further = |(end, places): (usize, Vec<usize>)| {
                (end + apart..=most).map(move |place| {
                    let mut places = places.clone();
                    places[item] = place;
                    (place, places)
                })
            };
            all = all.into_iter().flat_map(further).collect();
        }
        all.into_iter().map(|(_, places)| (name, places)).collect()
    }
}

/// Cost of a piece of an edge between two layers. Long edges are to be straight first of all; the weights are those of
/// Gansner et al., "A technique for drawing directed graphs" (1993).
fn bending(ends: [Item; 2], distance: usize) -> u64 {
    let weight = match ends {
        [Item::Vertex(_), Item::Vertex(_)] => 1,
        [Item::Bend(_), Item::Bend(_)] => 8,
        _ => 2,
    };
    // Every piece costs something, so that edges are as short as they can be; being near the middle weighs least.
    4096 * (2 + weight * (distance as u64).pow(2))
}

/// Pairs of edges that cross in a gap, from the ranks of the items at both sides.
fn crossings(gap: &[(usize, usize)], left: &[usize], right: &[usize]) -> usize {
    let crossed = |&(a, b): &(usize, usize), &(c, d): &(usize, usize)| {
        (left[a] < left[c] && right[b] > right[d]) || (left[a] > left[c] && right[b] < right[d])
    };
    gap.iter().enumerate().map(|(i, one)| gap[..i].iter().filter(|other| crossed(one, other)).count()).sum()
}

/// All orders of so many items.
fn permutations(n: usize) -> Vec<Order> {
    let mut all = vec![Vec::new()];
    for _ in 0..n {
        let longer = |items: Vec<usize>| {
            let rest: Vec<usize> = (0..n).filter(|item| !items.contains(item)).collect();
            rest.into_iter().map(move |item| [&items[..], &[item]].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    let order = |items: Vec<usize>| {
        let mut ranks = vec![0; n];
        items.iter().enumerate().for_each(|(rank, &item)| ranks[item] = rank);
        Order { items, ranks }
    };
    all.into_iter().map(order).collect()
}
