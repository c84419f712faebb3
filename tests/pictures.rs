//! The pictures of the library: whole SVG whatever the texts, the numbers that they claim, and pixels of them.

use naswot::Agreement;
use naswot::analysis::drawing::{
    Against, Direction, Shades, Theme, TracePoint, cell_svg, heat_map_svg, histogram_svg, matrix_svg, png,
    scatter_svg, trace_svg,
};
use naswot::analysis::{Correlation, Trend};
use resvg::usvg::{Options, Tree};

const HOSTILE: &str = "</text></svg><script>alert('\u{1}')</script>&amp;\"]]>\u{ffff}";
const ARCH: &str = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";

#[test]
fn every_picture_is_whole_whatever_its_texts() {
    let cell = naswot::Space::NasBench201.parse_arch(ARCH).unwrap();
    let kernel = Agreement::new(3, vec![3, 2, 2, 2, 3, 1, 2, 1, 3]).unwrap();
    for theme in [Theme::Light, Theme::Dark] {
        let against = Against { label: HOSTILE, values: &[1.0, 2.0, 3.0], logarithmic: true };
        let names = vec![HOSTILE.to_owned(); 2];
        let points = [(1.0, Some(4.0)), (0.0, None)].map(|(epoch, score)| TracePoint { epoch, score });
        let taus = [vec![Some(1.0), Some(-0.5)], vec![None, Some(1.0)]];
        let pictures = [
            scatter_svg(&[3.0, f64::NEG_INFINITY, 5.0], HOSTILE, &against, theme).unwrap(),
            histogram_svg(&[3.0, f64::NEG_INFINITY, 5.0], HOSTILE, theme).unwrap(),
            histogram_svg(&[3.0; 7], HOSTILE, theme).unwrap(),
            trace_svg(&points, HOSTILE, HOSTILE, theme).unwrap(),
            matrix_svg(&names, &taus, theme).unwrap(),
            heat_map_svg(&kernel, Shades::of(&kernel), theme),
            cell_svg(&cell, Direction::TopToBottom, theme),
        ];
        for svg in pictures {
            let tree = Tree::from_str(&svg, &Options::default());
            let size = tree.unwrap_or_else(|error| panic!("{error}: {svg}")).size();
            assert!(size.width() > 100.0 && size.height() > 50.0);
            assert!(!svg.contains("<script") && !svg.contains('\u{1}') && !svg.contains("NaN"), "{svg}");
            assert!(svg.contains(&theme.ground().to_string()));
        }
    }
}

#[test]
fn a_scatter_has_a_dot_for_every_finite_score_and_says_the_correlations() {
    let scores: Vec<f64> =
        (0..50).map(|i| if i == 7 { f64::NEG_INFINITY } else { f64::from(i * 13 % 50) }).collect();
    let values: Vec<f64> = (0..50).map(f64::from).collect();
    let against = Against { label: "x", values: &values, logarithmic: false };
    let svg = scatter_svg(&scores, "score", &against, Theme::Light).unwrap();
    assert_eq!(svg.matches("<circle").count(), 49);
    let Correlation { kendall_tau, pearson, .. } = Correlation::of(&scores, &values).unwrap();
    let said =
        format!("50 networks: Kendall τ {:.3}, Pearson r {:.3}", kendall_tau.unwrap(), pearson.unwrap());
    assert!(svg.contains(&said) && svg.contains("1 of score -inf"), "{svg}");
}

/// The regression of accuracy over score, though accuracy is the axis across, and within the axes where it is flatter than the
/// dots are spread.
#[test]
fn the_line_of_a_scatter_is_accuracy_over_score_within_the_axes() {
    let (values, scores) = ([10.0, 90.0, 91.0, 92.0, 93.0], [388.0, 390.0, 395.0, 400.0, 420.0]);
    let drawn = |logarithmic| {
        let against = Against { label: "x", values: &values, logarithmic };
        scatter_svg(&scores, "score", &against, Theme::Light).unwrap()
    };
    let is_line = |line: &&str| line.contains("stroke-width=\"2\"");
    let svg = drawn(false);
    assert!(svg.contains("line: x over score, least squares"), "{svg}");
    let circles: Vec<(f64, f64)> = svg
        .lines()
        .filter(|line| line.starts_with("<circle"))
        .map(|line| {
            let fields: Vec<&str> = line.split('"').collect();
            (fields[1].parse().unwrap(), fields[3].parse().unwrap())
        })
        .collect();
    let line = svg.lines().find(is_line).unwrap();
    let path = line.split('"').nth(1).unwrap();
    let ends: Vec<f64> = path[1..].split(['L', ' ']).map(|number| number.parse().unwrap()).collect();
    let [x0, y0, x1, y1] = ends[..] else { panic!("{path}") };
    // In pixels it is the line through the circles, for both axes are straight.
    let (x, y): (Vec<f64>, Vec<f64>) = circles.iter().copied().unzip();
    let trend = Trend::of(&y, &x).unwrap();
    assert!((trend.at(y0) - x0).abs() < 0.1 && (trend.at(y1) - x1).abs() < 0.1, "{path} {trend:?}");
    let inside = |at: f64, dots: &[f64]| {
        let (low, high) =
            (dots.iter().fold(f64::MAX, |a, &b| a.min(b)), dots.iter().fold(0.0, |a: f64, &b| a.max(b)));
        (low - 0.05 * (high - low)..=high + 0.05 * (high - low)).contains(&at)
    };
    assert!(inside(x0, &x) && inside(x1, &x) && inside(y0, &y) && inside(y1, &y), "{path}");
    // Sizes are not predicted.
    let sizes = drawn(true);
    assert!(!sizes.lines().any(|line| is_line(&line)) && !sizes.contains("least squares"), "{sizes}");
}

#[test]
fn a_png_has_the_pixels_asked_for_and_is_always_the_same() {
    let kernel = Agreement::new(2, vec![3, 2, 2, 3]).unwrap();
    let svg = heat_map_svg(&kernel, Shades::of(&kernel), Theme::Dark);
    let size = Tree::from_str(&svg, &Options::default()).unwrap().size();
    let bytes = png(&svg, 2.0).unwrap();
    assert_eq!(bytes, png(&svg, 2.0).unwrap());
    let side = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as f32;
    assert_eq!([side(16), side(20)], [(2.0 * size.width()).ceil(), (2.0 * size.height()).ceil()]);
    // Text is drawn: without it there are fewer colors of ink.
    let bare: String = svg.lines().filter(|line| !line.contains("<text")).collect();
    assert_ne!(bytes, png(&bare, 2.0).unwrap());
    assert!(png(&svg, 1e6).unwrap_err().to_string().contains("pixels; from 1 to 16384 a side"));
    assert!(png("<p>", 1.0).unwrap_err().to_string().starts_with("picture: is no SVG"));
}
