use naswot::*;
fn main() {
    let cells = nasbench101::sample(200, 5).unwrap();
    let sk = nasbench101::Skeleton::default();
    let mut most = 0;
    for (i, c) in cells.iter().enumerate() {
        let net = c.network(&sk).unwrap();
        let t = std::time::Instant::now();
        let plan = plan::Plan::new(net.graph(), [32, 3, 32, 32], Convention::Relu).unwrap();
        let dt = t.elapsed();
        most = most.max(plan.slots().count());
        if i == 3 {
            println!("{c}\n{}{plan}\n{dt:?}", net.graph());
        }
    }
    println!("{most}");
    let c: nasbench201::Cell =
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|"
            .parse()
            .unwrap();
    let net = c.network(16, 2).unwrap();
    println!("{}", plan::Plan::new(net.graph(), [32, 3, 32, 32], Convention::Original).unwrap());
}
