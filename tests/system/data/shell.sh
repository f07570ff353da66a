# What a shell must be able to do, in POSIX's words: run by hush here and by the build machine's
# shell, with the same output. $1 is an empty directory to write in.
cd "$1"

section() { echo "== $1"; }

section words
name=jacinth
empty=
echo "$name ${name} '$name' \"$name\" \$name"
echo "${unset_one-default} ${empty:-filled} [${empty-kept}] ${name:+set}"
echo "${#name} ${name%th} ${name##*c} ${name#j} ${name%%c*}"
: ${assigned:=once}
: ${assigned:=twice}
echo "$assigned"
set -- one 'two words' three
echo "$# [$1] [$2] [$3]"
for word in "$@"; do printf '<%s>' "$word"; done
echo
for word in $*; do printf '<%s>' "$word"; done
echo
shift
echo "$# $1"
IFS=:
path=/bin:/usr/bin::/tmp
for part in $path; do printf '[%s]' "$part"; done
echo
unset IFS
echo a\
b 'c   d' "e   f"

section arithmetic
echo $((1 + 2 * 3)) $(((1 + 2) * 3)) $((17 % 5)) $((-7 / 2)) $((1 << 10)) $((0xff & 0x0f))
i=5
echo $((i += 3)) $i $((i > 7 && i < 9)) $((i == 8 ? 100 : 200)) $((!i))
n=0
while [ $n -lt 5 ]; do n=$((n + 1)); done
echo $n

section tests
[ -n "$name" ] && echo nonempty
[ -z "$empty" ] && echo empty
[ 3 -gt 2 ] && [ 2 -le 2 ] && ! [ 1 -eq 2 ] && echo numbers
[ a = a ] && [ a != b ] && echo strings
if test -d . && ! test -e nothing; then echo files; else echo no files; fi

section case
classify() {
    case $1 in
    [0-9]*) echo "$1: number" ;;
    *.c | *.h) echo "$1: source" ;;
    '') echo "nothing" ;;
    -?) echo "$1: flag" ;;
    *) echo "$1: word" ;;
    esac
}
for word in 42 main.c x.h -v hello ''; do classify "$word"; done

section loops
for a in 1 2 3 4 5 6; do
    [ $a -eq 2 ] && continue
    [ $a -eq 5 ] && break
    printf '%s ' $a
done
echo
until [ $n -eq 0 ]; do n=$((n - 1)); printf '%d,' $n; done
echo
for a in x y; do
    for b in 1 2 3; do
        [ $b -eq 2 ] && continue 2
        printf '%s%s ' $a $b
    done
done
echo

section functions
add() { echo $(($1 + $2)); }
fact() { if [ $1 -le 1 ]; then echo 1; else echo $(($1 * $(fact $(($1 - 1))))); fi; }
status() { return $1; }
echo $(add 2 3) $(fact 5)
status 3
echo "returned $?"
status 0 && echo zero
outer=1
change() { outer=2; }
change
echo $outer

section substitution
echo "$(echo inner "$(echo deeper)")" `echo old`
lines=$(printf 'a\nb\n\n\n')
echo "[$lines]"
echo $(cat </dev/null)end
value=$(status 7)
echo "status $?"

section redirection
echo first >file
echo second >>file
cat file
cat <file
wc -l <file | tr -d ' '
{ echo out; echo err >&2; } >both 2>&1
cat both
echo gone >/dev/null
cat nothing 2>/dev/null || echo "no such file"
exec 3>third
echo through three >&3
exec 3>&-
cat third
while read -r line; do echo "read: $line"; done <file
printf 'x y  z\n1 2 3\n' | while read -r a b; do echo "$a|$b"; done
echo a b c >words
read -r one rest <words
echo "$one+$rest"

section here
cat <<END
$name is $((40 + 2)) years $(echo old)
  \$escaped "quoted"
END
cat <<'END'
$name is $((40 + 2))
END
cat <<-END
	tabs go
		all of them
	END
cat <<A; cat <<B
from a
A
from b
B
grep b <<END | tr a-z A-Z
abc
xyz
rbt
END

section pipelines
echo hello | tr a-z A-Z
printf 'pear\napple\nfig\napple\n' | sort | uniq -c | sed 's/^ *//'
seq 1 100 | grep 7 | wc -l | tr -d ' '
seq 1 5 | sed -n '2,4p' | tail -n 2 | head -n 1
echo text | cat | cat | cat | cat
true | false
echo "last decides: $?"
false | true
echo "last decides: $?"
! true
echo "not: $?"
f() { tr a b; }
echo aaa | f
yes | head -n 3

section lists
true && echo and
false || echo or
false && echo never || echo fallback
{ echo grouped; echo together; } | cat
(echo sub; outer=3; exit 4)
echo "status $? outer $outer"
(cd / && pwd)
[ "$(pwd)" = "$1" ] || cd . && echo stayed

section background
sleep 0 &
wait $!
echo "waited $?"
(exit 6) &
wait $!
echo "waited $?"
for i in 1 2 3; do (echo "job $i" >job$i) & done
wait
cat job1 job2 job3

section globbing
mkdir dir
touch dir/a.c dir/b.c dir/c.h dir/.hidden
echo dir/*.c
echo dir/?.h dir/[ab].c
echo dir/*.none
echo "dir/*.c"
for path in dir/*; do echo "${path##*/}"; done

section traps
(trap 'echo leaving' EXIT; echo inside)
trap 'echo got USR1' USR1
kill -USR1 $$
echo after
trap - USR1

section builtins
eval 'a=1; b=$((a + 1)); echo $a $b'
echo 'echo sourced $1; sourced=yes' >lib.sh
. ./lib.sh
echo $sourced
export EXPORTED=visible
sh -c 'echo $EXPORTED $0 $1' zero arg
unset EXPORTED
sh -c 'echo ${EXPORTED-gone}'
printf '%5d|%-5s|%05.1f|%x|%c\n' 42 ab 3.14159 255 z
while getopts ab:c option -a -b value -c; do echo "$option ${OPTARG-}"; done
umask 022
umask
command -v cd
type true >/dev/null && echo typed
sh -c 'set -e; false; echo never'
echo "stopped: $?"

section files
cp file copy
mv copy moved
ls
rm -r dir job1 job2 job3
ls | wc -l | tr -d ' '
ln -s file link
cat link
rm link
find . -name 'f*' | sort
date -u -d @86400 +%Y-%m-%d
expr 10 / 3
basename /a/b/c.txt .txt
dirname /a/b/c.txt
printf 'b 2\na 1\nc 3\n' | sort | cut -d' ' -f2 | paste -s -d+ -
printf 'one two\nthree four\n' | awk '{ print $2; n += NF } END { print n }'
printf 'abc' | od -An -c | tr -s ' '
printf abc | sha256sum | cut -c1-16
echo one two three | xargs -n 1 echo item
env -i A=1 sh -c 'echo $A'
exit 9
