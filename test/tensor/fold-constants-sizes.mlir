// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-fill-weights,hr-fold-constants)' --verify-diagnostics | FileCheck %s
// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-fill-weights,hr-evaluate-entries{compare=hr-fold-constants})' -o /dev/null

// What narrows is computed here; what it was made from is gone. Once for all
// entries.

// CHECK-NOT: hr.weight
// CHECK: hr.weight @w.folded : tensor<256x256xbf16>
// CHECK-NOT: hr.weight
// CHECK-LABEL: func.func @narrows
// CHECK: %[[W:.+]] = hr.constant [@w.folded] : tensor<256x256xbf16>
// CHECK: ins(%{{.+}}, %[[W]] : tensor<4x256xbf16>, tensor<256x256xbf16>)
// CHECK-LABEL: func.func @narrows_too
// CHECK: %[[W:.+]] = hr.constant [@w.folded] : tensor<256x256xbf16>
// CHECK: return %[[W]]
hr.weight @w : tensor<256x256xf32>
func.func @narrows(%x: tensor<4x256xbf16> {hr.name = "x", hr.dims = [#hr.size<"4">, #hr.size<"256">]})
    -> (tensor<4x256xf32> {hr.name = "y", hr.dims = [#hr.size<"4">, #hr.size<"256">]}) {
  %w = hr.constant [@w] : tensor<256x256xf32>
  %e = tensor.empty() : tensor<256x256xbf16>
  %n = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<256x256xf32>) outs(%e : tensor<256x256xbf16>) {
  ^bb0(%p: f32, %o: bf16):
    %q = arith.truncf %p : f32 to bf16
    linalg.yield %q : bf16
  } -> tensor<256x256xbf16>
  %zero = arith.constant 0.0 : f32
  %f = tensor.empty() : tensor<4x256xf32>
  %z = linalg.fill ins(%zero : f32) outs(%f : tensor<4x256xf32>) -> tensor<4x256xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %n : tensor<4x256xbf16>, tensor<256x256xbf16>) outs(%z : tensor<4x256xf32>) {
  ^bb0(%p: bf16, %q: bf16, %o: f32):
    %a = arith.extf %p : bf16 to f32
    %b = arith.extf %q : bf16 to f32
    %c = arith.mulf %a, %b : f32
    %d = arith.addf %o, %c : f32
    linalg.yield %d : f32
  } -> tensor<4x256xf32>
  return %y : tensor<4x256xf32>
}
func.func @narrows_too() -> (tensor<256x256xbf16> {hr.name = "y", hr.dims = [#hr.size<"256">, #hr.size<"256">]}) {
  %w = hr.constant [@w] : tensor<256x256xf32>
  %e = tensor.empty() : tensor<256x256xbf16>
  %n = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<256x256xf32>) outs(%e : tensor<256x256xbf16>) {
  ^bb0(%p: f32, %o: bf16):
    %q = arith.truncf %p : f32 to bf16
    linalg.yield %q : bf16
  } -> tensor<256x256xbf16>
  return %n : tensor<256x256xbf16>
}

// -----

// Where somebody needs the weight as it is, a narrow copy makes the artifact
// larger.

// CHECK: hr.weight @w : tensor<256x256xf32>
// CHECK-NOT: hr.weight
// CHECK-LABEL: func.func @both
// CHECK: arith.truncf
hr.weight @w : tensor<256x256xf32>
func.func @both() -> (tensor<256x256xbf16> {hr.name = "y", hr.dims = [#hr.size<"256">, #hr.size<"256">]},
                      tensor<256x256xf32> {hr.name = "z", hr.dims = [#hr.size<"256">, #hr.size<"256">]}) {
  %w = hr.constant [@w] : tensor<256x256xf32>
  %e = tensor.empty() : tensor<256x256xbf16>
  // expected-remark @+1 {{computed where it is read: it would be 131072 bytes in place of 262144}}
  %n = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<256x256xf32>) outs(%e : tensor<256x256xbf16>) {
  ^bb0(%p: f32, %o: bf16):
    %q = arith.truncf %p : f32 to bf16
    linalg.yield %q : bf16
  } -> tensor<256x256xbf16>
  return %n, %w : tensor<256x256xbf16>, tensor<256x256xf32>
}

// -----

// Widening by cheap operations is left to whoever reads the result. What was
// narrow before it became wide is stored narrow.

// CHECK-NOT: hr.weight
// CHECK: hr.weight @scale : tensor<256xf32>
// CHECK: hr.weight @w.folded : tensor<256x256xi8>
// CHECK-NOT: hr.weight
// CHECK-LABEL: func.func @widens
// CHECK: arith.sitofp
hr.weight @w : tensor<256x256xi32>
hr.weight @scale : tensor<256xf32>
func.func @widens() -> (tensor<256x256xf32> {hr.name = "y", hr.dims = [#hr.size<"256">, #hr.size<"256">]}) {
  %w = hr.constant [@w] : tensor<256x256xi32>
  %s = hr.constant [@scale] : tensor<256xf32>
  %e = tensor.empty() : tensor<256x256xi8>
  %n = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<256x256xi32>) outs(%e : tensor<256x256xi8>) {
  ^bb0(%p: i32, %o: i8):
    %q = arith.trunci %p : i32 to i8
    linalg.yield %q : i8
  } -> tensor<256x256xi8>
  %f = tensor.empty() : tensor<256x256xf32>
  // expected-remark @+1 {{computed where it is read: it would be 262144 bytes in place of 66560}}
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%n, %s : tensor<256x256xi8>, tensor<256xf32>) outs(%f : tensor<256x256xf32>) {
  ^bb0(%p: i8, %q: f32, %o: f32):
    %a = arith.sitofp %p : i8 to f32
    %b = arith.mulf %a, %q : f32
    linalg.yield %b : f32
  } -> tensor<256x256xf32>
  return %y : tensor<256x256xf32>
}

// -----

// A few bytes more are not worth any instruction.

// CHECK-NOT: hr.weight
// CHECK: hr.weight @w.folded : tensor<16x16xf32>
// CHECK-NOT: hr.weight
// CHECK-LABEL: func.func @little
// CHECK-NOT: arith.extf
// CHECK: return
hr.weight @w : tensor<16x16xbf16>
func.func @little() -> (tensor<16x16xf32> {hr.name = "y", hr.dims = [#hr.size<"16">, #hr.size<"16">]}) {
  %w = hr.constant [@w] : tensor<16x16xbf16>
  %e = tensor.empty() : tensor<16x16xf32>
  // expected-remark @+1 {{computed here, 1024 bytes in place of 512: the difference is negligible}}
  %n = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<16x16xbf16>) outs(%e : tensor<16x16xf32>) {
  ^bb0(%p: bf16, %o: f32):
    %q = arith.extf %p : bf16 to f32
    linalg.yield %q : f32
  } -> tensor<16x16xf32>
  return %n : tensor<16x16xf32>
}

// -----

// What cannot be computed where it is read is computed here, though it is
// larger, and the report says so.

// CHECK-NOT: hr.weight
// CHECK: hr.weight @w.folded : tensor<64x256xf32>
// CHECK-NOT: hr.weight
// CHECK-LABEL: func.func @function
// CHECK-NOT: math.exp
// CHECK: return
hr.weight @w : tensor<256xf32>
func.func @function() -> (tensor<64x256xf32> {hr.name = "y", hr.dims = [#hr.size<"64">, #hr.size<"256">]}) {
  %w = hr.constant [@w] : tensor<256xf32>
  %e = tensor.empty() : tensor<64x256xf32>
  // expected-remark @+1 {{computed here, 65536 bytes in place of 1024: it cannot be computed where it is read}}
  %n = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<256xf32>) outs(%e : tensor<64x256xf32>) {
  ^bb0(%p: f32, %o: f32):
    %i = linalg.index 0 : index
    %j = arith.index_cast %i : index to i32
    %k = arith.sitofp %j : i32 to f32
    %a = arith.mulf %p, %k : f32
    %q = math.exp %a : f32
    linalg.yield %q : f32
  } -> tensor<64x256xf32>
  return %n : tensor<64x256xf32>
}

// -----

// A selection of a part leaves the rest behind; two halves are what is there.

// CHECK-NOT: hr.weight
// CHECK: hr.weight @halves : tensor<256x256xf32>
// CHECK: hr.weight @part.folded : tensor<64x256xf32>
// CHECK-NOT: hr.weight
// CHECK-LABEL: func.func @parts
hr.weight @halves : tensor<256x256xf32>
hr.weight @part : tensor<256x256xf32>
func.func @parts() -> (tensor<128x256xf32> {hr.name = "a", hr.dims = [#hr.size<"128">, #hr.size<"256">]},
                       tensor<128x256xf32> {hr.name = "b", hr.dims = [#hr.size<"128">, #hr.size<"256">]},
                       tensor<64x256xf32> {hr.name = "c", hr.dims = [#hr.size<"64">, #hr.size<"256">]}) {
  %h = hr.constant [@halves] : tensor<256x256xf32>
  %p = hr.constant [@part] : tensor<256x256xf32>
  %a = hr.view %h at [#hr.size<"0">, #hr.size<"0">] map affine_map<(i, j) -> (i, j)> dims [#hr.size<"128">, #hr.size<"256">]
      : tensor<256x256xf32> to tensor<128x256xf32>
  %b = hr.view %h at [#hr.size<"128">, #hr.size<"0">] map affine_map<(i, j) -> (i, j)> dims [#hr.size<"128">, #hr.size<"256">]
      : tensor<256x256xf32> to tensor<128x256xf32>
  %c = hr.view %p at [#hr.size<"8">, #hr.size<"0">] map affine_map<(i, j) -> (i, j)> dims [#hr.size<"64">, #hr.size<"256">]
      : tensor<256x256xf32> to tensor<64x256xf32>
  return %a, %b, %c : tensor<128x256xf32>, tensor<128x256xf32>, tensor<64x256xf32>
}
