"""The files of the pronunciation sets, each with its sha256, its size in bytes and its address."""

from charseq.text.download import Download


def _files(address: str, table: str) -> tuple[Download, ...]:
    """A line of the table is ``sha256 size path``, the path below the address."""
    rows = (line.split() for line in table.strip().splitlines())
    return tuple(Download(f"{address}/{path}", int(size), sha256) for sha256, size, path in rows)


# Words of Wiktionary, by WikiPron: Ashby et al. 2021, "Results of the second SIGMORPHON shared task
# on multilingual grapheme-to-phoneme conversion". A commit is named, as a branch may change.
SIGMORPHON2021_G2P = _files(
    "https://raw.githubusercontent.com/sigmorphon/2021-task1/"
    "821bcdece5a47820872215969f275004b0abe80c/data",
    """
    1a83848ddbe34f7883503bc2e201f6999e695a9dc07fdded04fabe0a445ca881 25950 low/ady_train.tsv
    66f2b69326269a45c6d4189833822db281afc6ceaf15e275ed693a08513a9421 3362 low/ady_dev.tsv
    3f20b99bab05fabc1bbdddce805cf99701b0bf05adfbc84544aae7c8faf48aeb 3277 low/ady_test.tsv
    54523d43c445515c0e06d48e4150f5b40ad30da1a53243256e39d41d018a9ce4 23465 low/gre_train.tsv
    998f251e717e046b7b24e7b447390ef56dbfc960bc68fcfc86ae24da1743077d 2822 low/gre_dev.tsv
    94b7baf85a08f023e03c0fa7542b5b5add8e34005d51563694327100d1652d25 2799 low/gre_test.tsv
    e12573b2f640aa799b5f87ba265a61f62a6212217170aa915875d651a3e0ea1b 17534 low/ita_train.tsv
    de30becaa09b9121730a07faa80feb08c864405556ab34938d9aaf89f678d521 2311 low/ita_dev.tsv
    66f7049496757be938615dddbfd6fd5c846728c477888900fc20bfcc9084bd0c 2153 low/ita_test.tsv
    e9de4f5125d2478e50506c5ed278f69d5fb17d8d213f99f845305c24e28a55c2 182424 medium/fre_train.tsv
    3b42f14f318367dd94faa6d59e8fafabd845a3998800b6ce71a7c67e999490da 22895 medium/fre_dev.tsv
    6202c2b7b8d5fbd76a4d40373f9564a9946671dab617438b534bd47c64071c92 23087 medium/fre_test.tsv
    0623be3d687864b534043585e50b1ac238b7d5564f1e7450b40be3df7329ff7c 248512 medium/kor_train.tsv
    b1d22601f9b485f9b693dd82d832cb18695edb8a6a6ec6353d16ad729409b839 31598 medium/kor_dev.tsv
    341c4691b635f300822f89334d774023702eb64bf3d827562da25862de699ff2 30798 medium/kor_test.tsv
    """,
)

# CMUdict in the split that comes with Phonetisaurus: .words are the words of the test, .ref has all
# their right answers.
CMUDICT_G2P = _files(
    "https://raw.githubusercontent.com/AdolfVonKleist/Phonetisaurus/master/test/g014b2b",
    """
    5882433c3a14a9a0614b5f724ce74872851092e816852c82d6b74913b2085384 2717073 g014b2b.train
    2c1db23d6bf81dc6387824201963cec3a6e116bf99a167a6f27fb2874f8d7220 101264 g014b2b.words
    b1f24ab99ae8be1d37ee951984646a248c4fd5ae8b0a24a2f4ba2cfa0e2fc46a 299283 g014b2b.ref
    """,
)
