;; WASI 0.1, which Go's and C's toolchains speak, on top of WASI 0.2, which the host links.
;;
;; The usual adapter allocates memory for itself. Go's heap does not expect that anybody else grows the memory, and
;; the two write over each other. This one has no memory of its own: where WASI 0.2 answers through a pointer,
;; 16 bytes of the guest's are lent and given back.
;;
;; A component may not call anybody while it hands out memory to the host (`cabi_realloc`) or takes it back
;; (`cabi_post_…`), but Go's scheduler asks for the time whenever it runs. `nozzle_may_leave` says whether the host may
;; be called: it may until the guest says 0. Where it may not, time stands still and output is dropped.
;;
;; Standard output and error, clocks, sleep and random numbers work. There are no arguments, no environment and no
;; files; what asks for them is told so (`nosys`, `badf`).
(module
  (import "env" "memory" (memory 0))
  (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $get-stdout (result i32)))
  (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $get-stderr (result i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
    (func $write-and-flush (param $stream i32) (param $start i32) (param $len i32) (param $answer i32)))
  (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop-stream (param i32)))
  (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $monotonic-now (result i64)))
  (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $subscribe (param i64) (result i32)))
  (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall-now (param $answer i32)))
  (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop-pollable (param i32)))
  (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))

  (global $may-leave (mut i32) (i32.const 1))
  ;; The latest readings. Go's runtime takes a clock that stands at 0, as it does without a grant, for a fault.
  (global $passed (mut i64) (i64.const 1))
  (global $wall (mut i64) (i64.const 0))

  (func (export "nozzle_may_leave") (param $may i32)
    (global.set $may-leave (local.get $may)))

  ;; Time that passes, in nanoseconds; a sleep passes it too where the host's clock stands still.
  (func $passed-now (result i64)
    (local $time i64)
    (if (global.get $may-leave)
      (then
        (local.set $time (call $monotonic-now))
        (if (i64.gt_u (local.get $time) (global.get $passed)) (then (global.set $passed (local.get $time))))))
    (global.get $passed))

  ;; Nanoseconds since 1970.
  (func $wall-now-or-then (result i64)
    (local $kept-1 i64) (local $kept-2 i64)
    (if (global.get $may-leave)
      (then
        (local.set $kept-1 (i64.load (i32.const 16)))
        (local.set $kept-2 (i64.load (i32.const 24)))
        (call $wall-now (i32.const 16))
        (global.set $wall (i64.add
          (i64.mul (i64.load (i32.const 16)) (i64.const 1000000000))
          (i64.load32_u (i32.const 24))))
        (i64.store (i32.const 16) (local.get $kept-1))
        (i64.store (i32.const 24) (local.get $kept-2))))
    (global.get $wall))

  ;; 0 if all of it was written. A stream takes 4096 bytes at a time.
  (func $write-all (param $stream i32) (param $start i32) (param $len i32) (result i32)
    (local $kept-1 i64) (local $kept-2 i64) (local $failed i32) (local $part i32)
    (local.set $kept-1 (i64.load (i32.const 16)))
    (local.set $kept-2 (i64.load (i32.const 24)))
    (block $done
      (loop $more
        (br_if $done (i32.or (i32.eqz (local.get $len)) (local.get $failed)))
        (local.set $part (select (i32.const 4096) (local.get $len) (i32.gt_u (local.get $len) (i32.const 4096))))
        (call $write-and-flush (local.get $stream) (local.get $start) (local.get $part) (i32.const 16))
        (local.set $failed (i32.load8_u (i32.const 16)))
        (local.set $start (i32.add (local.get $start) (local.get $part)))
        (local.set $len (i32.sub (local.get $len) (local.get $part)))
        (br $more)))
    (i64.store (i32.const 16) (local.get $kept-1))
    (i64.store (i32.const 24) (local.get $kept-2))
    (local.get $failed))

  ;; Says that all of it was written.
  (func $drop-all (param $parts i32) (param $count i32) (param $written i32) (result i32)
    (local $total i32)
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $total (i32.add (local.get $total) (i32.load offset=4 (local.get $parts))))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $more)))
    (i32.store (local.get $written) (local.get $total))
    (i32.const 0))

  (func (export "fd_write") (param $fd i32) (param $parts i32) (param $count i32) (param $written i32) (result i32)
    (local $stream i32) (local $total i32) (local $failed i32)
    (if (i32.eqz (global.get $may-leave))
      (then (return (call $drop-all (local.get $parts) (local.get $count) (local.get $written)))))
    (if (i32.eq (local.get $fd) (i32.const 1))
      (then (local.set $stream (call $get-stdout)))
      (else
        (if (i32.ne (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
        (local.set $stream (call $get-stderr))))
    (block $done
      (loop $more
        (br_if $done (i32.or (i32.eqz (local.get $count)) (local.get $failed)))
        (local.set $failed (call $write-all (local.get $stream)
          (i32.load (local.get $parts)) (i32.load offset=4 (local.get $parts))))
        (local.set $total (i32.add (local.get $total) (i32.load offset=4 (local.get $parts))))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $more)))
    (call $drop-stream (local.get $stream))
    (i32.store (local.get $written) (local.get $total))
    (select (i32.const 29) (i32.const 0) (local.get $failed)))

  ;; 0 is the wall clock, the others stand for time that passes.
  (func $now (param $clock i32) (result i64)
    (if (result i64) (local.get $clock) (then (call $passed-now)) (else (call $wall-now-or-then))))

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $answer i32) (result i32)
    (i64.store (local.get $answer) (call $now (local.get $clock)))
    (i32.const 0))

  (func (export "clock_res_get") (param $clock i32) (param $answer i32) (result i32)
    (i64.store (local.get $answer) (i64.const 1))
    (i32.const 0))

  (func (export "random_get") (param $start i32) (param $len i32) (result i32)
    (local $bits i64)
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $len)))
        (local.set $bits (call $random))
        (if (i32.ge_u (local.get $len) (i32.const 8))
          (then
            (i64.store align=1 (local.get $start) (local.get $bits))
            (local.set $start (i32.add (local.get $start) (i32.const 8)))
            (local.set $len (i32.sub (local.get $len) (i32.const 8))))
          (else
            (i64.store8 (local.get $start) (local.get $bits))
            (local.set $start (i32.add (local.get $start) (i32.const 1)))
            (local.set $len (i32.sub (local.get $len) (i32.const 1)))))
        (br $more)))
    (i32.const 0))

  ;; A sleep: the first of the subscriptions, if it is a clock's, is waited for.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $ready i32) (result i32)
    (local $wait i64) (local $time i64) (local $pollable i32)
    (if (i32.or (i32.eqz (local.get $count)) (i32.load8_u offset=8 (local.get $in))) (then (return (i32.const 52))))
    (local.set $wait (i64.load offset=24 (local.get $in)))
    (if (i32.and (i32.load16_u offset=40 (local.get $in)) (i32.const 1))
      (then
        (local.set $time (call $now (i32.load offset=16 (local.get $in))))
        (local.set $wait (select (i64.sub (local.get $wait) (local.get $time)) (i64.const 0)
          (i64.gt_u (local.get $wait) (local.get $time))))))
    (if (global.get $may-leave)
      (then
        (local.set $pollable (call $subscribe (local.get $wait)))
        (call $block (local.get $pollable))
        (call $drop-pollable (local.get $pollable))))
    (global.set $passed (i64.add (global.get $passed) (local.get $wait)))
    (i64.store (local.get $out) (i64.load (local.get $in)))
    (i64.store offset=8 (local.get $out) (i64.const 0))
    (i64.store offset=16 (local.get $out) (i64.const 0))
    (i64.store offset=24 (local.get $out) (i64.const 0))
    (i32.store (local.get $ready) (i32.const 1))
    (i32.const 0))

  ;; The three standard streams are character devices; there are no others.
  (func (export "fd_fdstat_get") (param $fd i32) (param $answer i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get $answer) (i64.const 2))
    (i64.store offset=8 (local.get $answer) (i64.const -1))
    (i64.store offset=16 (local.get $answer) (i64.const 0))
    (i32.const 0))

  (func $none (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))
  (func $nothing (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $nothing))
  (export "environ_get" (func $nothing))
  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; An exit is the end of the instance, as a trap is.
  (func (export "proc_exit") (param i32) (unreachable))

  ;; badf: there is no such file.
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))

  ;; nosys: there is no such thing here.
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 52))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 52))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 52))
  (func (export "proc_raise") (param i32) (result i32) (i32.const 52))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 52)))
