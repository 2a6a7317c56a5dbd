// Two entries of about 64 MiB: rows that are whole vectors, and rows that are not.
func.func @even(%x: tensor<8192x2048xf32> {hr.name = "x", hr.dims = [#hr.size<"8192">, #hr.size<"2048">]})
    -> (tensor<8192x2048xf32> {hr.name = "y", hr.dims = [#hr.size<"8192">, #hr.size<"2048">]}) attributes {hr.symbols = []} {
  %e = tensor.empty() : tensor<8192x2048xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<8192x2048xf32>) outs(%e : tensor<8192x2048xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = arith.negf %p : f32
    linalg.yield %q : f32
  } -> tensor<8192x2048xf32>
  return %y : tensor<8192x2048xf32>
}

func.func @odd(%x: tensor<8191x2049xf32> {hr.name = "x", hr.dims = [#hr.size<"8191">, #hr.size<"2049">]})
    -> (tensor<8191x2049xf32> {hr.name = "y", hr.dims = [#hr.size<"8191">, #hr.size<"2049">]}) attributes {hr.symbols = []} {
  %e = tensor.empty() : tensor<8191x2049xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<8191x2049xf32>) outs(%e : tensor<8191x2049xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = arith.negf %p : f32
    linalg.yield %q : f32
  } -> tensor<8191x2049xf32>
  return %y : tensor<8191x2049xf32>
}
