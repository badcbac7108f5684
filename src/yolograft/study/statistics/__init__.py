"""The verdict: noise over seeds and images, critical values, looks, planning; numpy and scipy alone."""
