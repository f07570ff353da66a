"""Every command that the boot image has does what its name says: one line of the shell for each."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from jx.testing.lab import SystemTest, depends_on, limit
from jx.tree import ROOT

# What the script does around each line: a folder of its own with two files in it.
_BEFORE = r"mkdir /tmp/w; cd /tmp/w; printf 'one\ntwo\nthree\n' >f; printf 'one\nTWO\nthree\n' >g"
_AFTER = "cd /; rm -r /tmp/w"
_MARK = "=-=-="

# name: (line, what it prints: the text, or a pattern for all of it)
_ROWS: dict[str, tuple[str, str | re.Pattern[str]]] = {
    "[": ("[ -s f ] && echo full", "full\n"),
    "ascii": ("ascii | grep -c DEL", "1\n"),
    "awk": ("""awk '{n += length($1)} END {printf "%d %s\\n", n, toupper("x")}' f""", "11 X\n"),
    "base32": ("echo jx | base32", "NJ4AU===\n"),
    "base64": ("echo jx | base64 | base64 -d", "jx\n"),
    "basename": ("basename /a/b.c .c", "b\n"),
    "bc": ("echo '2^70; scale=5; 1/7' | bc", "1180591620717411303424\n.14285\n"),
    "bunzip2": ("echo nonsense >x.bz2; bunzip2 x.bz2 2>/dev/null || echo refused", "refused\n"),
    "bzcat": ("echo QlpoOTFBWSZTWdynWhQAAADBgAAQABAAQCAAIZgZhGF3JFOFCQ3KdaFA | base64 -d | bzcat", "jx\n"),
    "cal": ("cal 2 2026 | grep -c 28", "1\n"),
    "cat": ("cat f - g <f | wc -l", "9\n"),
    "chmod": ("chmod 640 f; ls -l f | cut -c1-10", "-rw-r-----\n"),
    "cksum": ("cksum f", "3358846701 14 f\n"),
    "clear": ("TERM=vt100 clear | wc -c", re.compile(r"[1-9]\d*\n")),
    "cmp": ("cmp f g; echo $?", "f g differ: char 5, line 2\n1\n"),
    "comm": ("sort f >a; sort g >b; comm -12 a b", "one\nthree\n"),
    "count": ("count <f 2>/dev/null | wc -l", "3\n"),
    "cp": ("mkdir d; cp f g d; cp -r d e; cat e/f | wc -l; cp -r d/nothing e 2>/dev/null || echo no", "3\nno\n"),
    "cpio": ("echo f | cpio -o -H newc 2>/dev/null >a; mkdir d; cd d; cpio -i <../a; cat f | wc -l", "3\n"),
    "crc32": ("printf 123456789 | crc32", re.compile(r"cbf43926( .*)?\n")),
    "cut": ("echo a:b:c | cut -d : -f 2", "b\n"),
    "date": ("date -u -d @86400 +%F", "1970-01-02\n"),
    "dc": ("echo '6 7 * p' | dc", "42\n"),
    "dd": ("dd if=f of=h bs=4 skip=1 count=1 2>/dev/null; cat h", "two\n"),
    "diff": ("diff f g", "--- f\n+++ g\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"),
    "dirname": ("dirname /a/b", "/a\n"),
    "dos2unix": ("printf 'a\\r\\n' >h; dos2unix h; wc -c <h", "2\n"),
    "du": ("dd if=/dev/zero of=h bs=4096 count=4 2>/dev/null; du -k h", "16\th\n"),
    "echo": ("toybox echo -e 'a\\tb'", "a\tb\n"),
    "egrep": ("egrep 't(w|h)' f", "two\nthree\n"),
    "env": ("env -i A=1 env", "A=1\n"),
    "expand": ("printf 'a\\tb\\n' | expand", "a       b\n"),
    "expr": ("expr 6 '*' 7", "42\n"),
    "factor": ("factor 2026", "2026: 2 1013\n"),
    "fallocate": ("fallocate -l 8192 h; wc -c <h", "8192\n"),
    "false": ("toybox false; echo $?", "1\n"),
    "fgrep": ("echo 'a.b' | fgrep -c .", "1\n"),
    "file": ("file f | tr -s ' '; file /boot/lib/ld.so.1 | cut -c1-22", "f: ASCII text\n/boot/lib/ld.so.1: ELF\n"),
    "find": ("mkdir d; touch d/x; find . -name x -o -type d -exec echo in {} ';'", "in .\nin ./d\n"),
    "fmt": ("echo a b c d | fmt -w 4", "a b\nc d\n"),
    "fold": ("echo abcd | fold -w 2", "ab\ncd\n"),
    "fsync": ("fsync f && echo synced", "synced\n"),
    "getconf": ("getconf PAGESIZE", "4096\n"),
    "getopt": ("getopt ab: -a -b c d", " -a -b c -- d\n"),
    "grep": ("grep -n o f", "1:one\n2:two\n"),
    "groups": ("groups; echo", re.compile(r"0\s+")),
    "gunzip": ("gzip f; gunzip f.gz; wc -l <f", "3\n"),
    "gzip": ("gzip <f >h.gz; cmp h.gz f >/dev/null 2>&1; gzip -d <h.gz", "one\ntwo\nthree\n"),
    "hd": ("echo jx | hd | head -1 | cut -c1-18", "00000000  6a 78 0a\n"),
    "head": ("head -n 1 f", "one\n"),
    "hexdump": ("echo jx | hexdump -C | cut -c1-18 | head -n 1", "00000000  6a 78 0a\n"),
    "hostname": ("hostname", "jacinth\n"),
    "hush": ("hush -c 'echo $((6 * 7))'", "42\n"),
    "iconv": ("printf '\\344' | iconv -f latin1 -t utf8 | xxd -p", "c3a4\n"),
    "id": ("id", "uid=0 gid=0\n"),
    "less": ("less f", "one\ntwo\nthree\n"),
    "link": ("link f h; cat h | wc -l", "3\n"),
    "ln": ("ln -s f h; cat h | wc -l", "3\n"),
    "ls": ("ls -1", "f\ng\n"),
    "mcookie": ("mcookie | grep -c '^[0-9a-f]*$'", "1\n"),
    "md5sum": ("printf abc | md5sum", "900150983cd24fb0d6963f7d28e17f72  -\n"),
    "mkdir": ("mkdir -p a/b/c; ls a/b", "c\n"),
    "mktemp": ("ls $(mktemp -p .) | wc -l", "1\n"),
    "mv": ("mv f h; ls", "g\nh\n"),
    "nl": ("nl f | tail -n 1", "     3\tthree\n"),
    "nohup": ("nohup echo on 2>/dev/null", "on\n"),
    "nproc": ("nproc", re.compile(r"[1-9]\d*\n")),
    "od": ("echo jx | od -An -tx1", " 6a 78 0a\n"),
    "paste": ("paste -d : f g | tail -n 1", "three:three\n"),
    "patch": ("diff -u f g >h; patch f h >/dev/null; cmp f g && echo same", "same\n"),
    "printenv": ("A=1 printenv A", "1\n"),
    "printf": ("toybox printf '%03d\\n' 7", "007\n"),
    "pwd": ("toybox pwd", "/tmp/w\n"),
    "readelf": ("readelf -h /boot/lib/ld.so.1 | grep -c x86-64", "1\n"),
    "readlink": ("ln -s f h; readlink h", "f\n"),
    "realpath": ("realpath ./../w/f", "/tmp/w/f\n"),
    "rev": ("rev f | head -n 1", "eno\n"),
    "rm": ("rm f; ls", "g\n"),
    "rmdir": ("mkdir d; rmdir d; ls -d d 2>/dev/null || echo gone", "gone\n"),
    "sed": ("sed -n 's/t/T/p' f", "Two\nThree\n"),
    "seq": ("seq 3 -1 1 | tr -d '\\n'", "321"),
    "sh": ("sh -c 'echo $0 $1' a b", "a b\n"),
    "sha1sum": ("printf abc | sha1sum", "a9993e364706816aba3e25717850c26c9cd0d89d  -\n"),
    "sha224sum": ("printf abc | sha224sum | cut -c1-16", "23097d223405d822\n"),
    "sha256sum": ("printf abc | sha256sum | cut -c1-16", "ba7816bf8f01cfea\n"),
    "sha384sum": ("printf abc | sha384sum | cut -c1-16", "cb00753f45a35e8b\n"),
    "sha3sum": ("printf abc | sha3sum -a 256 | cut -c1-16", "3a985da74fe225b2\n"),
    "sha512sum": ("printf abc | sha512sum | cut -c1-16", "ddaf35a193617aba\n"),
    "shred": ("shred -n 1 f; cmp f g >/dev/null || wc -c <f", re.compile(r"(14|4096)\n")),
    "shuf": ("shuf f | sort | tr '\\n' ' '", "one three two "),
    "sleep": ("sleep 0.01; echo $?", "0\n"),
    "sort": ("sort -r f", "two\nthree\none\n"),
    "split": ("split -l 1 f; cat xac", "three\n"),
    "stat": ("stat -c '%s %F' f", "14 regular file\n"),
    "strings": ("printf '\\1hello\\2' | strings", "hello\n"),
    "stty": ("stty </dev/null 2>/dev/null || echo none", "none\n"),
    "sync": ("sync; echo $?", "0\n"),
    "tac": ("tac f | head -n 1", "three\n"),
    "tail": ("tail -n 1 f", "three\n"),
    "tar": ("tar -czf a.tgz f g; rm f; tar -xzf a.tgz; tar -tzf a.tgz; wc -l <f", "f\ng\n3\n"),
    "tee": ("echo x | tee h; cat h", "x\nx\n"),
    "test": ("test 1 -lt 2 && toybox test -f f && echo so", "so\n"),
    "time": ("(time true) 2>&1 | grep -c real", "1\n"),
    "timeout": ("timeout 0.1 sleep 100; echo $?", "124\n"),
    "touch": ("touch -d @86400 h; stat -c %Y h", "86400\n"),
    "tr": ("tr a-z A-Z <f | head -n 1", "ONE\n"),
    "true": ("toybox true; echo $?", "0\n"),
    "truncate": ("truncate -s 3 f; cat f; echo", "one\n"),
    "tty": ("tty </dev/null; echo $?", "not a tty\n1\n"),
    "uname": ("uname -sm", "Jacinth x86_64\n"),
    "uniq": ("printf 'a\\na\\nb\\n' | uniq -c | tr -s ' '", " 2 a\n 1 b\n"),
    "unix2dos": ("unix2dos f; wc -c <f", "17\n"),
    "unlink": ("unlink f; ls", "g\n"),
    "usleep": ("usleep 10; echo $?", "0\n"),
    "uudecode": ("uuencode f h <f >u; uudecode -o h u; cat h | wc -l", "3\n"),
    "uuencode": ("uuencode -m x <f | head -n 2 | tail -n 1", "b25lCnR3bwp0aHJlZQo=\n"),
    "uuidgen": ("uuidgen | wc -c", "37\n"),
    "vi": ("vi f </dev/null 2>/dev/null | grep -c 'f 1/3 33%'", "1\n"),
    "watch": ("watch -n 60 -t -e false | grep -c 'Exit status 1'", "1\n"),
    "wc": ("wc f", re.compile(r" *3 +3 +14 f\n")),
    "which": ("which ls", "/bin/ls\n"),
    "xargs": ("seq 4 | xargs -n 2 echo a", "a 1 2\na 3 4\n"),
    "xxd": ("echo jx | xxd -p | xxd -r -p", "jx\n"),
    "yes": ("yes | head -n 2", "y\ny\n"),
    "zcat": ("gzip f; zcat f.gz", "one\ntwo\nthree\n"),
    # Of the system.
    "df": ("df | grep -c ^/tmp; df -h . f | grep -c '^/tmp .*M .*%$'; df nothing 2>/dev/null | wc -l", "1\n2\n1\n"),
    "dmesg": ("dmesg | grep -c 'kernel up'", "1\n"),
    "free": ("free | grep -c ^total", "1\n"),
    "handles": ("handles $$ | tail -n 1", re.compile(r"\d+ handles\n")),
    "iostat": ("iostat | head -n 1", re.compile(r"DISK .*\n")),
    "jobtree": ("jobtree | grep -c programs", "1\n"),
    "k": ("k help | grep -c 'this list'; k nothing >h; echo $?; wc -l <h", "1\n127\n1\n"),
    "kill": ("sleep 100 & /bin/kill $!; wait $!; echo $?", re.compile(r"\d+\n")),
    "launch": ("launch /boot/bin/hello you", "hello you\n"),
    "lspci": ("lspci | grep -c 'host bridge'", "1\n"),
    "mount": ("mount | grep -c ^/tmp", "1\n"),
    "pagerstat": ("pagerstat | grep -c evicted", "1\n"),
    "ps": ("ps | grep -c bin/init", "1\n"),
    "svc": ("svc | grep -c ^memfs", "1\n"),
    "threads": ("threads $$ | grep -c initial-thread", "1\n"),
    "top": ("top -n 1 -d 10 | grep -c CPU%", "1\n"),
    "uptime": ("uptime", re.compile(r"up 0:0\d:\d\d, (1 CPU|\d+ CPUs)\n")),
    "vmaps": ("vmaps $$ | grep -c ' stack'", "1\n"),
}  # fmt: skip

# The machine ends by them; tests/system/launch_test.py has them end it.
_ENDS = {"poweroff", "reboot"}
_OWN = re.compile(r"^TOOL\((\w+)\)$", re.MULTILINE)


def _names() -> set[str]:
    """What is in /bin: of the programs of others, and of system/bin."""
    names = set(_OWN.findall((ROOT / "system/bin/tools.def").read_text()))
    for program in ("busybox", "toybox"):
        names |= set((ROOT / "out/third_party" / program / "names").read_text().split())
    return names - {"busybox", "toybox", "help"}


@depends_on("smp", "variant")
class CommandsTest(SystemTest):
    maxDiff = None

    def test_there_is_a_line_for_each(self) -> None:
        self.assertEqual(sorted(_names() - _ENDS), sorted(_ROWS))

    @limit(300)
    def test_each_does_its_work(self) -> None:
        script = "".join(f"echo {_MARK}\n{_BEFORE}\n{line}\n{_AFTER}\n" for line, _ in _ROWS.values())
        with TemporaryDirectory() as folder:
            path = Path(folder) / "script"
            path.write_text(script)
            result = self.run_commands("sh /boot/data/script", adds=((path, "data/script"),), seconds=280)
        said = result.commands[0].output.decode().split(f"{_MARK}\n")[1:]
        self.assertEqual(len(said), len(_ROWS))
        wrong = {
            name: (line, wanted, text)
            for (name, (line, wanted)), text in zip(_ROWS.items(), said)
            if text != wanted and not (isinstance(wanted, re.Pattern) and wanted.fullmatch(text))
        }
        self.assertEqual(wrong, {})
