//! The pictures of the library: whole SVG whatever the texts, the numbers that they claim, and pixels of them.

use naswot::Agreement;
use naswot::analysis::drawing::{
    Against, AxisLimits, Direction, HeatMap, Shades, Theme, TracePoint, cell_svg, heat_map_svg,
    heat_maps_svg, histogram_svg, matrix_svg, pdf, png, scatter_svg, sequential, trace_svg,
};
use naswot::analysis::{Correlation, Trend};
use resvg::usvg::{Options, Tree};

const HOSTILE: &str = "</text></svg><script>alert('\u{1}')</script>&amp;\"]]>\u{ffff}";
const ALL: AxisLimits = AxisLimits { from: None, to: None };
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
        let maps = [HeatMap { kernel: &kernel, caption: [HOSTILE; 2] }; 3];
        let pictures = [
            scatter_svg(&[3.0, f64::NEG_INFINITY, 5.0], HOSTILE, &against, ALL, theme).unwrap(),
            histogram_svg(&[3.0, f64::NEG_INFINITY, 5.0], HOSTILE, ALL, theme).unwrap(),
            histogram_svg(&[3.0; 7], HOSTILE, ALL, theme).unwrap(),
            histogram_svg(&[3.0; 7], HOSTILE, AxisLimits { from: Some(3.0), to: Some(3.1) }, theme).unwrap(),
            trace_svg(&points, HOSTILE, HOSTILE, ALL, theme).unwrap(),
            matrix_svg(&names, &taus, theme).unwrap(),
            heat_map_svg(&kernel, Shades::of(&kernel), theme),
            heat_maps_svg(&maps, 2, Shades::of(&kernel), &names, theme).unwrap(),
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
    let svg = scatter_svg(&scores, "score", &against, ALL, Theme::Light).unwrap();
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
        scatter_svg(&scores, "score", &against, ALL, Theme::Light).unwrap()
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

/// What is beyond the limits is counted in the picture, and changes no figure.
#[test]
fn networks_beyond_the_limits_of_an_axis_are_counted() {
    let scores: Vec<f64> =
        (0..50).map(|i| if i == 7 { f64::NEG_INFINITY } else { f64::from(i * 13 % 50) }).collect();
    let values: Vec<f64> = (1..=50).map(f64::from).collect();
    let theme = Theme::Light;
    for logarithmic in [false, true] {
        let against = Against { label: "x", values: &values, logarithmic };
        let scatter = |limits| scatter_svg(&scores, "score", &against, limits, theme).unwrap();
        let limited = scatter(AxisLimits { from: Some(5.0), to: Some(40.5) });
        // The network of score -inf is number 8.
        assert_eq!(limited.matches("<circle").count(), 35);
        assert!(limited.contains("Not drawn: 4 networks below 5, 10 networks above 40.5"), "{limited}");
        let figures = |svg: &str| svg.lines().find(|line| line.contains("Kendall")).unwrap().to_owned();
        let whole = scatter(ALL);
        assert!(figures(&limited).contains(figures(&whole).split('>').nth(1).unwrap()));
        assert!(
            !whole.contains("Not drawn")
                && scatter(AxisLimits { from: Some(50.0), to: None }).contains("48 networks below 50")
        );
    }
    let histogram = |limits| histogram_svg(&scores, "score", limits, theme).unwrap();
    let limited = histogram(AxisLimits { from: None, to: Some(9.0) });
    assert!(limited.contains("10 networks, in bins") && limited.contains("39 networks above 9"), "{limited}");
    assert!(limited.contains("1 more of score -inf"));
    let points: Vec<TracePoint> =
        (0..9).map(|i| TracePoint { epoch: f64::from(i), score: (i != 2).then_some(3.0) }).collect();
    let trace = |limits| trace_svg(&points, "epoch", "score", limits, theme).unwrap();
    let limited = trace(AxisLimits { from: Some(1.0), to: None });
    assert_eq!(limited.matches("<circle").count(), 7);
    assert!(limited.contains("1 failed") && limited.contains("1 checkpoint below 1"), "{limited}");

    let against = Against { label: "x", values: &values, logarithmic: true };
    for (from, to, message) in [
        (Some(5.0), Some(5.0), "begin at 5 and end at 5"),
        (Some(f64::NAN), None, "begins or ends at NaN"),
        (Some(0.0), None, "no logarithmic axis begins or ends at 0"),
        (Some(50.5), None, "nothing lies at 50.5 or above"),
        (Some(1.5), Some(1.75), "nothing lies between 1.5 and 1.75"),
    ] {
        let error = scatter_svg(&scores, "score", &against, AxisLimits { from, to }, theme).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

/// The fills of the squares of a picture, in order; the ground and the bar of colors left out.
fn fills(svg: &str) -> Vec<&str> {
    let squares = svg.lines().filter(|line| line.starts_with("<path d=\"M") && line.contains("h38"));
    squares.map(|line| line.split("fill=\"").nth(1).unwrap().split('"').next().unwrap()).collect()
}

#[test]
fn the_colors_of_a_sweep_begin_at_its_smallest_tau() {
    let names = ["a", "b"].map(str::to_owned);
    let [darkest, brightest] = [0.0, 1.0].map(|value| sequential(value).to_string());
    for tau in [0.9, 0.2, 0.0, -0.5, -1.0] {
        let taus = [vec![Some(1.0), Some(tau)], vec![Some(tau), Some(1.0)]];
        let svg = matrix_svg(&names, &taus, Theme::Light).unwrap();
        assert_eq!(fills(&svg), [&brightest, &darkest, &darkest, &brightest]);
        assert!(svg.contains(&format!("Colors from {tau:.3}, the smallest, to 1.")), "{svg}");
        assert!(svg.contains("Kendall τ") && svg.contains(">1.0"), "{svg}");
    }
    let svg = matrix_svg(&names, &[vec![Some(1.0); 2], vec![Some(1.0), None]], Theme::Light).unwrap();
    assert_eq!(fills(&svg), [&brightest; 3]);
    assert!(svg.contains("All are 1."), "{svg}");
}

/// Equal shares of N_A have one color, whatever the networks' N_A.
#[test]
fn heat_maps_have_one_scale() {
    let kernels = [vec![4, 1, 1, 4], vec![8, 2, 2, 8], vec![8, 5, 5, 8]];
    let kernels = kernels.map(|entries| Agreement::new(2, entries).unwrap());
    let maps: Vec<HeatMap> =
        kernels.iter().map(|kernel| HeatMap { kernel, caption: ["91.20 %", "310.5"] }).collect();
    let svg = heat_maps_svg(&maps, 2, Shades { low: 0.25, high: 1.0 }, &[], Theme::Light).unwrap();
    let count = |share: f64| svg.matches(&format!("<path fill=\"{}\" d", sequential(share))).count();
    // Below the squares lies their mean, 0.5 of the scale for the first two.
    assert_eq!([count(0.0), count(0.5), count(1.0)], [2, 3, 3]);
    assert_eq!(svg.matches("91.20 %").count(), 3);
    let many = vec![maps[0]; 41];
    for (maps, columns) in [(&maps[..0], 2), (&maps, 0), (&many, 1), (&many, 41)] {
        let error = heat_maps_svg(maps, columns, Shades::of(&kernels[0]), &[], Theme::Light).unwrap_err();
        assert!(error.to_string().contains("from 1 to 40 a side are possible"), "{error}");
    }
}

#[test]
fn a_pdf_has_text_that_can_be_searched_and_the_size_of_the_picture() {
    let kernel = Agreement::new(2, vec![3, 2, 2, 3]).unwrap();
    let svg = heat_map_svg(&kernel, Shades::of(&kernel), Theme::Light);
    let bytes = pdf(&svg).unwrap();
    assert_eq!(bytes, pdf(&svg).unwrap());
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    // A point is 1/72 inch, a pixel 1/96.
    let size = Tree::from_str(&svg, &Options::default()).unwrap().size();
    assert!(has(&bytes, &format!("/MediaBox [0 0 {} {}]", size.width() * 0.75, size.height() * 0.75)));
    for text in ["+NotoSans", "/ToUnicode", "/FontFile2"] {
        assert!(has(&bytes, text), "{text}");
    }
    let bare: String = svg.lines().filter(|line| !line.contains("<text")).collect();
    assert!(!has(&pdf(&bare).unwrap(), "/ToUnicode"));
    assert!(pdf("<p>").unwrap_err().to_string().starts_with("picture: is no SVG"));
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
