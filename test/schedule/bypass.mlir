// What leaves the program and is large is stored past the caches, with the fence
// that the machine wants before others are told; what is small, or read again, is
// not.

// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=generic-x86-64-v3})' | FileCheck %s --check-prefix=PLAN
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=generic-x86-64-v3},hr-tile-stages)' | FileCheck %s --check-prefix=TILED
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=generic-x86-64-v3},hr-tile-stages,sched-build-programs{target=generic-x86-64-v3},sched-assign-offsets,sched-verify)' | FileCheck %s --check-prefix=SCHED

// PLAN: hr.stage @large_map_
// PLAN-SAME: bypass = true
// TILED: func.func private @large_map_
// TILED: memref.extract_aligned_pointer_as_index
// TILED: scf.if
// TILED-NEXT: vector.store {{.*}} {alignment = 32 : i64, nontemporal = true}
// TILED: else
// TILED-NEXT: vector.store
// TILED-NOT: nontemporal
// SCHED: stage @large_map_{{.*}} stores non_temporal
// SCHED: run @large_map_{{.*}} fence "sfence"
func.func @large(%x: tensor<4096x1024xf32> {hr.name = "x", hr.dims = [#hr.size<"4096">, #hr.size<"1024">]})
    -> (tensor<4096x1024xf32> {hr.name = "y", hr.dims = [#hr.size<"4096">, #hr.size<"1024">]}) {
  %e = tensor.empty() : tensor<4096x1024xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4096x1024xf32>) outs(%e : tensor<4096x1024xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = arith.negf %p : f32
    linalg.yield %q : f32
  } -> tensor<4096x1024xf32>
  return %y : tensor<4096x1024xf32>
}

// PLAN: hr.stage @small_map_
// PLAN-NOT: bypass
// PLAN: func.func @again
func.func @small(%x: tensor<64x64xf32> {hr.name = "x", hr.dims = [#hr.size<"64">, #hr.size<"64">]})
    -> (tensor<64x64xf32> {hr.name = "y", hr.dims = [#hr.size<"64">, #hr.size<"64">]}) {
  %e = tensor.empty() : tensor<64x64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = arith.negf %p : f32
    linalg.yield %q : f32
  } -> tensor<64x64xf32>
  return %y : tensor<64x64xf32>
}

// The sums of the rows read what the map stores.
// PLAN: hr.stage @again_
// PLAN-NOT: bypass
// PLAN: return
func.func @again(%x: tensor<4096x1024xf32> {hr.name = "x", hr.dims = [#hr.size<"4096">, #hr.size<"1024">]})
    -> (tensor<4096x1024xf32> {hr.name = "y", hr.dims = [#hr.size<"4096">, #hr.size<"1024">]},
        tensor<4096xf32> {hr.name = "z", hr.dims = [#hr.size<"4096">]}) {
  %e = tensor.empty() : tensor<4096x1024xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4096x1024xf32>) outs(%e : tensor<4096x1024xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = math.exp %p : f32
    linalg.yield %q : f32
  } -> tensor<4096x1024xf32>
  %zero = arith.constant 0.0 : f32
  %rows = tensor.empty() : tensor<4096xf32>
  %init = linalg.fill ins(%zero : f32) outs(%rows : tensor<4096xf32>) -> tensor<4096xf32>
  %z = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<4096x1024xf32>) outs(%init : tensor<4096xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = arith.addf %p, %o : f32
    linalg.yield %q : f32
  } -> tensor<4096xf32>
  return %y, %z : tensor<4096x1024xf32>, tensor<4096xf32>
}
