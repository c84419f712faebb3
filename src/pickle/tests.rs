//! Pickles as CPython 3.11 and NumPy 2.4 write them, in protocols 2 to 5, and such as nobody writes.

use super::{Pickle, Treatment, Value, Visitor};

const LIMIT: usize = 1 << 20;

/// `{'plain': [1, -2, 300, 70000, 2**40, -2**62, 2**70, 1.5, None, True, False, 'é', b'\0\xff', (), (1,), (1, 2), (1, 2, 3),
/// (1, 2, 3, 4)], ('cifar10', 777): OrderedDict(k={}), 'set': {3}, 'shared': 'plain'}`
const PLAIN: [&str; 4] = [
    "80027d7100285805000000706c61696e71015d7102284b014afeffffff4d2c014a701101008a060000000000018a080000000000\
     0000c08a09000000000000000040473ff80000000000004e88895802000000c3a97103635f636f646563730a656e636f64650a71\
     04580300000000c3bf710558060000006c6174696e317106867107527108294b018571094b014b0286710a4b014b024b0387710b\
     284b014b024b034b0474710c65580700000063696661723130710d4d090386710e63636f6c6c656374696f6e730a4f7264657265\
     64446963740a710f2952711058010000006b71117d71127358030000007365747113635f5f6275696c74696e5f5f0a7365740a71\
     145d71154b0361857116527117580600000073686172656471186801752e",
    "80037d7100285805000000706c61696e71015d7102284b014afeffffff4d2c014a701101008a060000000000018a080000000000\
     0000c08a09000000000000000040473ff80000000000004e88895802000000c3a97103430200ff7104294b018571054b014b0286\
     71064b014b024b03877107284b014b024b034b047471086558070000006369666172313071094d090386710a63636f6c6c656374\
     696f6e730a4f726465726564446963740a710b2952710c58010000006b710d7d710e735803000000736574710f636275696c7469\
     6e730a7365740a71105d71114b0361857112527113580600000073686172656471146801752e",
    "800495bf000000000000007d94288c05706c61696e945d94284b014afeffffff4d2c014a701101008a060000000000018a080000\
     0000000000c08a09000000000000000040473ff80000000000004e88898c02c3a994430200ff94294b0185944b014b0286944b01\
     4b024b038794284b014b024b034b047494658c0763696661723130944d090386948c0b636f6c6c656374696f6e73948c0b4f7264\
     65726564446963749493942952948c016b947d94738c03736574948f94284b03908c06736861726564946801752e",
    "800595bf000000000000007d94288c05706c61696e945d94284b014afeffffff4d2c014a701101008a060000000000018a080000\
     0000000000c08a09000000000000000040473ff80000000000004e88898c02c3a994430200ff94294b0185944b014b0286944b01\
     4b024b038794284b014b024b034b047494658c0763696661723130944d090386948c0b636f6c6c656374696f6e73948c0b4f7264\
     65726564446963749493942952948c016b947d94738c03736574948f94284b03908c06736861726564946801752e",
];

/// A 2 x 3 array of `u1` from 0 to 5, the same in Fortran's order, and scalars of f8, f4, i8, u1 and b1.
const NUMPY: [&str; 4] = [
    "80025d710028636e756d70792e5f636f72652e6d756c746961727261790a5f7265636f6e7374727563740a7101636e756d70790a\
     6e6461727261790a71024b00857103635f636f646563730a656e636f64650a7104580100000062710558060000006c6174696e31\
     710686710752710887710952710a284b014b024b0386710b636e756d70790a64747970650a710c58020000007531710d89888771\
     0e52710f284b0358010000007c71104e4e4e4affffffff4affffffff4b0074711162896804580600000000010203040571126806\
     86711352711474711562680168024b008571166808877117527118284b014b024b03867119680f88680458060000000003010402\
     05711a680686711b52711c74711d62636e756d70792e5f636f72652e6d756c746961727261790a7363616c61720a711e680c5802\
     0000006638711f8988877120527121284b0358010000003c71224e4e4e4affffffff4affffffff4b007471236268045809000000\
     000000000000c3903f71246806867125527126867127527128681e680c580200000066347129898887712a52712b284b0368224e\
     4e4e4affffffff4affffffff4b0074712c62680458060000000000c380c2bf712d680686712e52712f867130527131681e680c58\
     02000000693871328988877133527134284b0368224e4e4e4affffffff4affffffff4b007471356268045810000000c3b9c3bfc3\
     bfc3bfc3bfc3bfc3bfc3bf7136680686713752713886713952713a681e680f68045802000000c388713b680686713c52713d8671\
     3e52713f681e680c5802000000623171408988877141527142284b0368104e4e4e4affffffff4affffffff4b0074714362680458\
     010000000171446806867145527146867147527148652e",
    "80035d710028636e756d70792e5f636f72652e6d756c746961727261790a5f7265636f6e7374727563740a7101636e756d70790a\
     6e6461727261790a71024b008571034301627104877105527106284b014b024b03867107636e756d70790a64747970650a710858\
     0200000075317109898887710a52710b284b0358010000007c710c4e4e4e4affffffff4affffffff4b0074710d62894306000102\
     030405710e74710f62680168024b008571106804877111527112284b014b024b03867113680b8843060003010402057114747115\
     62636e756d70792e5f636f72652e6d756c746961727261790a7363616c61720a7116680858020000006638711789888771185271\
     19284b0358010000003c711a4e4e4e4affffffff4affffffff4b0074711b624308000000000000d03f711c86711d52711e681668\
     0858020000006634711f8988877120527121284b03681a4e4e4e4affffffff4affffffff4b007471226243040000c0bf71238671\
     24527125681668085802000000693871268988877127527128284b03681a4e4e4e4affffffff4affffffff4b00747129624308f9\
     ffffffffffffff712a86712b52712c6816680b4301c8712d86712e52712f68166808580200000062317130898887713152713228\
     4b03680c4e4e4e4affffffff4affffffff4b00747133624301017134867135527136652e",
    "8004959d010000000000005d94288c166e756d70792e5f636f72652e6d756c74696172726179948c0c5f7265636f6e7374727563\
     749493948c056e756d7079948c076e6461727261799493944b0085944301629487945294284b014b024b03869468048c05647479\
     70659493948c02753194898887945294284b038c017c944e4e4e4affffffff4affffffff4b007494628943060001020304059474\
     9462680368064b008594680887945294284b014b024b03869468108843060003010402059474946268018c067363616c61729493\
     94680d8c02663894898887945294284b038c013c944e4e4e4affffffff4affffffff4b007494624308000000000000d03f948694\
     5294681c680d8c02663494898887945294284b0368204e4e4e4affffffff4affffffff4b0074946243040000c0bf948694529468\
     1c680d8c02693894898887945294284b0368204e4e4e4affffffff4affffffff4b007494624308f9ffffffffffffff9486945294\
     681c68104301c89486945294681c680d8c02623194898887945294284b0368114e4e4e4affffffff4affffffff4b007494624301\
     019486945294652e",
    "8005959c010000000000005d94288c136e756d70792e5f636f72652e6e756d65726963948c0b5f66726f6d627566666572949394\
     28960600000000000000000102030405948c056e756d7079948c0564747970659493948c02753194898887945294284b038c017c\
     944e4e4e4affffffff4affffffff4b007494624b024b0386948c0143947494529468032896060000000000000000030104020594\
     680a4b024b0386948c014694749452948c166e756d70792e5f636f72652e6d756c74696172726179948c067363616c6172949394\
     68078c02663894898887945294284b038c013c944e4e4e4affffffff4affffffff4b007494624308000000000000d03f94869452\
     94681868078c02663494898887945294284b03681c4e4e4e4affffffff4affffffff4b0074946243040000c0bf94869452946818\
     68078c02693894898887945294284b03681c4e4e4e4affffffff4affffffff4b007494624308f9ffffffffffffff948694529468\
     18680a4301c89486945294681868078c02623194898887945294284b03680b4e4e4e4affffffff4affffffff4b00749462430101\
     9486945294652e",
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn read(bytes: &[u8]) -> Result<Pickle, String> {
    Pickle::read(bytes, LIMIT).map_err(|broken| format!("{}: {}", broken.position, broken.message))
}

fn message(bytes: &[u8]) -> String {
    read(bytes).err().unwrap()
}

#[test]
fn plain_values_are_read_in_every_protocol() {
    for hex in PLAIN {
        let pickle = read(&bytes(hex)).unwrap();
        let all = pickle.value();
        let items: Vec<Value> = all.get("plain").unwrap().items().unwrap().collect();
        let integers: Vec<_> = items.iter().map(|item| item.integer()).collect();
        let expected = [1, -2, 300, 70_000, 1 << 40, -1 << 62].map(Some);
        assert_eq!(integers[..6], expected);
        assert_eq!(integers[6..], [None; 12]);
        assert_eq!(items[7].real(), Some(1.5));
        assert_eq!((items[0].real(), items[8].real()), (Some(1.0), None));
        assert_eq!(items[11].text(), Some("é"));
        // They are not UTF-8, so not the text of Python 2.
        assert_eq!(items[12].text(), None);
        for (length, tuple) in items[13..].iter().enumerate() {
            let numbers: Vec<_> = tuple.items().unwrap().map(Value::integer).collect();
            assert_eq!(numbers, (1..=length as i64).map(Some).collect::<Vec<_>>());
        }
        let (key, ordered) = all.entries().unwrap().nth(1).unwrap();
        assert_eq!(key.items().unwrap().next().unwrap().text(), Some("cifar10"));
        assert_eq!(ordered.get("k").unwrap().entries().unwrap().count(), 0);
        assert!(all.get("set").unwrap().items().is_none());
        assert_eq!(all.get("shared").unwrap().text(), Some("plain"));
        assert!(all.get("none").is_none());
    }
}

#[test]
fn arrays_and_scalars_are_read_in_every_protocol() {
    for hex in NUMPY {
        let pickle = read(&bytes(hex)).unwrap();
        let items: Vec<Value> = pickle.value().items().unwrap().collect();
        for (item, fortran, bytes) in [(0, false, [0, 1, 2, 3, 4, 5]), (1, true, [0, 3, 1, 4, 2, 5])] {
            let array = items[item].array().unwrap();
            assert_eq!((array.data_type, array.shape, array.fortran), ("u1", &[2, 3][..], fortran));
            assert_eq!(array.bytes, bytes);
        }
        let numbers: Vec<_> = items[2..6].iter().map(|item| item.real().unwrap()).collect();
        assert_eq!(numbers, [0.25, -1.5, -7.0, 200.0]);
    }
}

/// `numpy.core.multiarray.scalar(dtype(NAME), BYTES)`, the type with a byte order.
fn scalar(name: &str, order: u8, number: &[u8]) -> Vec<u8> {
    let text = |text: &[u8]| [&[0x8c, text.len() as u8], text].concat();
    [
        &b"\x80\x04cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n"[..],
        &text(name.as_bytes()),
        b"\x89\x88\x87R(K\x03",
        &text(&[order]),
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbC",
        &[number.len() as u8],
        number,
        b"\x86R.",
    ]
    .concat()
}

#[test]
fn scalars_have_the_bytes_and_the_order_of_their_type() {
    let number =
        |name: &str, order, number: &[u8]| read(&scalar(name, order, number)).map(|p| p.value().real());
    assert_eq!(number("f8", b'>', &2.5f64.to_be_bytes()), Ok(Some(2.5)));
    assert_eq!(number("f8", b'<', &2.5f64.to_le_bytes()), Ok(Some(2.5)));
    assert_eq!(number("i2", b'>', &[0xff, 0xfe]), Ok(Some(-2.0)));
    assert_eq!(number("u2", b'<', &[0xff, 0xfe]), Ok(Some(65_279.0)));
    for (name, length) in [("f8", 4), ("f2", 2), ("i0", 0), ("u16", 16), ("é", 1), ("i999999999999999", 4)] {
        let error = number(name, b'<', &vec![0xff; length]).unwrap_err();
        assert!(error.ends_with("a call of Scalar with arguments that it does not take"), "{name}: {error}");
    }
}

#[test]
fn what_would_run_is_refused() {
    assert_eq!(
        message(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R."),
        "2: it needs Python's `os.system`, and naswot runs nothing of Python"
    );
    assert_eq!(
        message(b"\x80\x04\x8c\x0ctorch._utils\x8c\x12_rebuild_tensor_v2\x93."),
        "36: it needs Python's `torch._utils._rebuild_tensor_v2` (it holds tensors of PyTorch), and naswot runs \
         nothing of Python"
    );
    let hostile = [&b"\x80\x02c\x1b[2J\nx"[..], &[b'y'; 200], b"\n."].concat();
    let refusal = message(&hostile);
    assert!(refusal.len() < 200 && !refusal.contains('\x1b'), "{refusal}");
}

#[test]
fn what_no_pickler_writes_is_named() {
    for (pickle, expected) in [
        (&b""[..], "0: it ends in the middle"),
        (b"\x80\x02", "2: it ends in the middle"),
        (b"\x80\x06N.", "0: it is of protocol 6, not of 2 to 5"),
        (b"\x80\x02.", "2: a value is missing"),
        (b"\x80\x02(N(.", "5: a value is missing"),
        (b"\x80\x02t.", "2: a mark is missing"),
        (b"\x80\x02N\x86.", "3: a value is missing"),
        (b"\x80\x02N(NNu.", "6: an entry of what is no dictionary"),
        (b"\x80\x02}(Nu.", "5: a key without a value"),
        (b"\x80\x02}Na.", "4: an item of what is no list"),
        (b"\x80\x02h\x00.", "2: it refers to what it has not remembered"),
        (b"\x80\x02]r\xff\xff\xff\xff.", "3: it remembers values out of order"),
        (b"\x80\x02Kq\x94.", "4: it remembers what no pickler does"),
        (b"\x80\x02N)R.", "4: a call of what is no function"),
        (
            b"\x80\x02]}b.",
            "4: an object that is no array or type of NumPy, or one in a state that it cannot have",
        ),
        (
            b"\x80\x02X\xff\xff\xff\xff.",
            "2: 4294967295 bytes of text or data are more than the 1048576 that naswot reads",
        ),
        (b"\x80\x02X\x01\0\0\0\xff.", "2: text that is not UTF-8"),
        (
            b"\x80\x02I1\n.",
            "2: byte 0x49 stands where an operation must: no operation on plain values and arrays, in protocols 2 to 5, is written so",
        ),
        // A frozen set.
        (
            b"\x80\x04(K\x01\x91.",
            "5: byte 0x91 stands where an operation must: no operation on plain values and arrays, in protocols 2 to 5, is written so",
        ),
    ] {
        assert_eq!(message(pickle), expected, "{pickle:?}");
    }
}

#[test]
fn shared_values_are_kept_once() {
    // 2^500 values, were they unfolded.
    let doubled = [&b"\x80\x02N"[..], &b"2\x86".repeat(500), b"."].concat();
    assert_eq!(read(&doubled).unwrap().value().items().unwrap().len(), 2);
    // 50,000 references to a text of 100,000 bytes.
    let text = [&b"\x80\x02X"[..], &100_000u32.to_le_bytes(), &[b'a'; 100_000], b"q\x000]("].concat();
    let shared = [&text[..], &b"h\x00".repeat(50_000), b"e."].concat();
    let pickle = Pickle::read(&shared[..], 4 << 20).map_err(|broken| broken.message).unwrap();
    assert_eq!(pickle.value().items().unwrap().len(), 50_000);
    let nested = [&b"\x80\x02"[..], &[b']'; 10_000], &[b'a'; 9_999], b"."].concat();
    assert_eq!(read(&nested).unwrap().value().items().unwrap().len(), 1);
}

#[test]
fn memory_has_a_limit() {
    let lists = [&b"\x80\x02"[..], &vec![b']'; 1 << 20], b"."].concat();
    let expected = "its values take more than 1 MB, the most that naswot gives them";
    assert!(message(&lists).ends_with(expected), "{}", message(&lists));
    let encoded = [
        &b"\x80\x02c_codecs\nencode\nq\x00X"[..],
        &60_000u32.to_le_bytes(),
        &[b'a'; 60_000],
        b"X\x06\0\0\0latin1\x86q\x01R",
        &b"h\x00h\x01R".repeat(1000),
        b".",
    ]
    .concat();
    assert!(message(&encoded).ends_with(expected), "{}", message(&encoded));
}

#[test]
fn visitors_choose_what_is_kept() {
    struct Sum(i64);
    impl Visitor for Sum {
        fn treatment(&self, key: &str) -> Treatment {
            match key {
                "plain" | "k" => Treatment::Drop,
                "each" => Treatment::EntryByEntry,
                _ => Treatment::Keep,
            }
        }
        fn entry(&mut self, key: Value<'_>, value: Value<'_>) -> Result<(), String> {
            let value = value.items().and_then(|mut items| items.next()?.integer());
            self.0 += key.integer().unwrap() * value.ok_or("an entry without a list")?;
            Ok(())
        }
    }
    let visit = |bytes: &[u8], sum: &mut Sum| {
        Pickle::visit(bytes, 1 << 14, sum)
            .map_err(|broken| format!("{}: {}", broken.position, broken.message))
    };
    let mut sum = Sum(0);
    let kept = visit(&bytes(PLAIN[2]), &mut sum).unwrap();
    assert!(kept.value().get("plain").unwrap().items().is_none());
    assert_eq!(kept.value().get("shared").unwrap().text(), Some("plain"));
    // {'each': {1: [10], 2: [10], ..}}, more than fits, were it kept.
    let entries: Vec<u8> = (0..200)
        .flat_map(|i| [b"(K".as_slice(), &[i], b"](", &[b'K', 10].repeat(20), b"eu"].concat())
        .collect();
    let each = [&b"\x80\x04}\x8c\x04each}"[..], &entries, b"s."].concat();
    visit(&each, &mut sum).unwrap();
    assert_eq!(sum.0, 10 * 199 * 200 / 2);
    let wrong = b"\x80\x04}\x8c\x04each}K\x01Nss.";
    assert_eq!(visit(wrong, &mut sum).err().unwrap(), "13: an entry without a list");
}
